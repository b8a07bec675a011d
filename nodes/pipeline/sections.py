"""The sections of a pipeline configuration. Ranges are part of the types; `loading` says what breaks them."""

import math
import re
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

from ssa_stream.errors import ConfigError
from ssa_stream.nodes.pipeline.hosts import is_loopback
from ssa_stream.protocols.fields import MAX_PROMPTS, Name, PromptText

__all__ = [
    "ClientsSection",
    "DecoderSection",
    "FlowSection",
    "HealthSection",
    "MasksSection",
    "ModelSection",
    "PromptTexts",
    "PublicSection",
    "ScheduledPrompts",
    "SessionSection",
    "StreamSection",
    "WorkersSection",
]

PromptTexts: TypeAlias = tuple[PromptText, ...] | dict[Name, PromptText]
"""Sentences, which get their ids themselves, or sentences by id."""

_Text = Annotated[str, Meta(min_length=1, max_length=4096)]
_Time = Annotated[float, Meta(gt=0, le=86_400)]
_Count = Annotated[int, Meta(ge=1, le=8)]
_EdgePx = Annotated[int, Meta(ge=32, le=16_384)]

_ADDRESS = re.compile(r"tcp://(?P<host>\*|[A-Za-z0-9][A-Za-z0-9_.-]*|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5}|\*)")


def require(condition: bool, message: str) -> None:
    """Refuse a value.

    Raises:
        ConfigError: With `message`, unless `condition` holds.
    """
    if not condition:
        raise ConfigError(message)


class _Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Frozen, keyword-only, unknown keys refused."""


class ModelSection(_Section, frozen=True, kw_only=True):
    """Which network, with which weights, where.

    Attributes:
        name: Shipped model configuration or YAML path; used with random weights only, a checkpoint says what it is.
        checkpoint: Weight file, or the name of a shipped one; None takes the default one, unless weights are random.
        random_weights: Make meaningless weights instead.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        dtype: Of weights and activations. `auto` is measured when the graph starts.
        precision: How the pixel decoder computes: `published`, in float32, or `fast`; `auto` is `published` for float32
            on a processor, else `fast`.
        engine: What computes the stages, see `ssa_stream.engines`; `auto` takes the fastest one that is built.
        threads: Processor threads of each node that runs the network; None chooses.
    """

    name: _Text = "ssa-tiny"
    checkpoint: _Text | None = None
    random_weights: bool = False
    device: Annotated[
        str, Meta(pattern=r"\A(auto|cpu|cuda(:[0-9]{1,3})?)\Z", description="auto, cpu, cuda or cuda:N")
    ] = "auto"
    dtype: Literal["auto", "float32", "bfloat16"] = "float32"
    precision: Literal["auto", "published", "fast"] = "auto"
    engine: Annotated[
        str,
        Meta(
            pattern=r"\A(auto|torch|openvino|onnxruntime(:[A-Za-z0-9]{1,64})?|cuda-graph)\Z",
            description="auto, torch, openvino, onnxruntime, onnxruntime:PROVIDER or cuda-graph",
        ),
    ] = "auto"
    threads: Annotated[int, Meta(ge=1, le=1024)] | None = None

    def __post_init__(self) -> None:
        require(
            not (self.random_weights and self.checkpoint is not None),
            f"random_weights is true and checkpoint is {self.checkpoint!r}; expected one of the two",
        )


class SessionSection(_Section, frozen=True, kw_only=True):
    """How every stream is segmented; see `ssa_stream.streaming.SessionConfig`, whose fields these are."""

    window: Annotated[int, Meta(ge=1, le=200)] = 8
    half_life_frames: Annotated[float, Meta(ge=0)] = 16.0
    lookahead: Annotated[int, Meta(ge=0, le=199)] = 0
    emit_provisional: bool = False
    mode: Literal["multi", "single"] = "multi"
    threshold: Annotated[float, Meta(ge=0, lt=1)] = 0.5
    short_edge_px: _EdgePx | None = None
    long_edge_px: _EdgePx | None = None
    frame_interval_s: _Time | None = None
    max_gap_s: _Time | None = None
    max_prompts: Annotated[int, Meta(ge=1, le=MAX_PROMPTS)] = 16

    def __post_init__(self) -> None:
        require(not math.isnan(self.half_life_frames), "half_life_frames is nan; expected 0 or more, or .inf")
        require(
            self.lookahead < self.window,
            f"lookahead is {self.lookahead} frames; expected less than the window ({self.window})",
        )


class ScheduledPrompts(_Section, frozen=True, kw_only=True):
    """Prompts that replace the present ones from a stream time on.

    Attributes:
        at_s: Seconds on the stream's clock; the first frame at or after it has the new prompts.
        prompts: All prompts from then on.
    """

    at_s: Annotated[float, Meta(ge=0, le=1e9)]
    prompts: PromptTexts


class StreamSection(_Section, frozen=True, kw_only=True):
    """One source and what is looked for in it.

    Attributes:
        source: A file, a camera (`0`), an address or `synthetic...`; see `ssa_stream.sources.open_source`.
        prompts: The first prompts.
        live: See `open_source`; None lets the source decide.
        flow: `freshest` drops late frames, `every_frame` waits, `auto` is the former for live sources.
        outputs: What is written by the graph itself, such as `overlay.mp4`; see `ssa_stream.sinks.open_sink`.
        changes: Changes of prompts at stream times.
        max_frames: End the stream after that many frames; None for all.
    """

    source: _Text
    prompts: PromptTexts = ()
    live: bool | None = None
    flow: Literal["auto", "freshest", "every_frame"] = "auto"
    outputs: Annotated[tuple[_Text, ...], Meta(max_length=16)] = ()
    changes: Annotated[tuple[ScheduledPrompts, ...], Meta(max_length=1000)] = ()
    max_frames: Annotated[int, Meta(ge=1)] | None = None


class WorkersSection(_Section, frozen=True, kw_only=True):
    """How many nodes share the work that needs no memory of earlier frames."""

    encoder: _Count = 1
    queries: _Count = 1


class FlowSection(_Section, frozen=True, kw_only=True):
    """How much may be under way.

    Attributes:
        in_flight: Unfinished frames per stream, beside those that lookahead holds back; None is 2 in one process and
            4 in several.
        staleness_s: A live frame that is older than this when it comes to a node is dropped.
        reorder_wait_s: How long a frame is waited for before it counts as lost.
        ring_mib: Shared memory that one sender may take.
        batching: `auto`: frames of several streams that wait together are one batch where that is measured to be
            faster. `never`: each alone, so that every stream equals a session to the bit.
        max_wait_ms: How long a frame waits for that of another stream that is about to come; 0 does not.
    """

    in_flight: Annotated[int, Meta(ge=1, le=64)] | None = None
    staleness_s: _Time = 0.5
    reorder_wait_s: _Time = 1.0
    ring_mib: Annotated[int, Meta(ge=1, le=65_536)] = 256
    batching: Literal["auto", "never"] = "auto"
    max_wait_ms: Annotated[float, Meta(ge=0, le=1000)] = 5.0


class HealthSection(_Section, frozen=True, kw_only=True):
    """When a node counts as lost, and what is done then.

    Attributes:
        heartbeat_s: Time between signs of life.
        heartbeat_timeout_s: A node without a sign of life for so long is lost.
        hang_timeout_s: A node that works on one step for longer hangs.
        start_timeout_s: Longest time until all nodes are ready, loading of weights included.
        max_restarts: Restarts of one node within `restart_window_s` that are tried; one more ends the graph.
        restart_window_s: See there.
        backoff_s: First pause before a restart; it doubles with each one, with jitter.
        backoff_max_s: Longest such pause.
        stop_timeout_s: Longest time to end in order; what still runs then is killed.
    """

    heartbeat_s: Annotated[float, Meta(ge=0.01, le=60)] = 0.25
    heartbeat_timeout_s: _Time = 3.0
    hang_timeout_s: _Time = 20.0
    start_timeout_s: _Time = 120.0
    max_restarts: Annotated[int, Meta(ge=0, le=1000)] = 5
    restart_window_s: _Time = 60.0
    backoff_s: Annotated[float, Meta(ge=0, le=60)] = 0.2
    backoff_max_s: Annotated[float, Meta(ge=0, le=600)] = 5.0
    stop_timeout_s: _Time = 1.5

    def __post_init__(self) -> None:
        require(
            self.heartbeat_timeout_s >= 2 * self.heartbeat_s,
            f"heartbeat_timeout_s is {self.heartbeat_timeout_s:g}; expected at least twice heartbeat_s "
            f"({self.heartbeat_s:g})",
        )
        require(
            self.backoff_max_s >= self.backoff_s,
            f"backoff_max_s is {self.backoff_max_s:g}; expected at least backoff_s ({self.backoff_s:g})",
        )

    @property
    def absence_s(self) -> float:
        """A process that did nothing for longer, though it beats every `heartbeat_s`, did not run."""
        return max(2 * self.heartbeat_s, self.heartbeat_timeout_s / 2)


class PublicSection(_Section, frozen=True, kw_only=True):
    """Where subscribers and clients connect. Port `*` or 0 takes a free one; it is printed.

    Attributes:
        publish: Masks, states and events.
        requests: Prompts and sources.
        keys: Folder of keys, made by `ssa-stream keys init`: both sockets encrypt, and take in only clients whose keys
            it allows. None: everybody who reaches them, which is this machine.
        insecure: Let other machines reach them without keys.
    """

    publish: _Text = "tcp://127.0.0.1:5555"
    requests: _Text = "tcp://127.0.0.1:5556"
    keys: _Text | None = None
    insecure: bool = False

    def __post_init__(self) -> None:
        is_guarded = self.insecure or self.keys is not None
        ports = [_port(name, getattr(self, name), is_guarded) for name in ("publish", "requests")]
        require(
            ports[0] != ports[1] or ports[0] == 0,
            f"publish and requests are both at port {ports[0]}; expected two ports, or * for free ones",
        )

    @property
    def is_open(self) -> bool:
        """Whether other machines can reach an address without keys."""
        return self.keys is None and not all(map(_is_of_this_machine, (self.publish, self.requests)))


class ClientsSection(_Section, frozen=True, kw_only=True):
    """How much clients may take: subscribers and those who ask for changes.

    A client is who has a key; without keys, a machine. All connections of one client together may have four times what
    one connection may.

    Attributes:
        connections: To both public addresses together; fewer if this process may not open so many files.
        handshake_s: A connection that has not said by then who it is, is closed.
        subscriptions: Of one connection. Another one closes it, as does one to what is no topic of the protocol.
        request_rate_hz: Requests of one connection in a second, over a longer time; more are refused (`busy`).
        request_burst: Requests of one connection at once.
        waiting_requests: Requests of one connection that wait for their node.
    """

    connections: Annotated[int, Meta(ge=8, le=100_000)] = 512
    handshake_s: Annotated[float, Meta(ge=0.1, le=60)] = 5.0
    subscriptions: Annotated[int, Meta(ge=1, le=10_000)] = 128
    request_rate_hz: Annotated[float, Meta(gt=0, le=10_000)] = 20.0
    request_burst: Annotated[int, Meta(ge=1, le=10_000)] = 100
    waiting_requests: Annotated[int, Meta(ge=1, le=256)] = 32


def _port(key: str, address: str, may_leave: bool) -> int:
    """The port of an address; 0 for any.

    Args:
        key: Of the setting, for errors.
        address: Its value.
        may_leave: Whether other machines may reach it.
    """
    match = _ADDRESS.fullmatch(address)
    port = -1 if match is None else 0 if match["port"] == "*" else int(match["port"])
    require(
        0 <= port <= 65_535,
        f"{key} is {address!r}; expected tcp://127.0.0.1:PORT with a port of 1..65535 or *, or another address of this "
        f"machine",
    )
    require(
        may_leave or _is_of_this_machine(address),
        f"{key} is {address!r}; expected tcp://127.0.0.1:PORT: other machines reach that one, and there are no keys. "
        f"Make some (ssa-stream keys init DIR) and name them with public.keys (--keys DIR), or set public.insecure "
        f"(--insecure) in a network where everybody may see and change everything",
    )
    return port


def _is_of_this_machine(address: str) -> bool:
    match = _ADDRESS.fullmatch(address)
    return match is not None and is_loopback(match["host"])


class MasksSection(_Section, frozen=True, kw_only=True):
    """What mask messages hold.

    Attributes:
        rle: Send run lengths beside label maps.
        size: Masks have the size of the `source`, or that at the `network`.
        picture: Send with every message the picture that its masks were made of, as `jpeg`; or `none`.
        picture_quality: Of the JPEG.
        picture_long_edge_px: Larger pictures are sent smaller; None sends the source's size.
    """

    rle: bool = False
    size: Literal["source", "network"] = "source"
    picture: Literal["none", "jpeg"] = "none"
    picture_quality: Annotated[int, Meta(ge=1, le=100)] = 80
    picture_long_edge_px: _EdgePx | None = None

    @property
    def sends_pictures(self) -> bool:
        """Whether there are pictures in the messages."""
        return self.picture != "none"


class DecoderSection(_Section, frozen=True, kw_only=True):
    """What survives the end of the decoder.

    Attributes:
        checkpoint: Folder of its states on disk, one file a stream; None keeps none.
        checkpoint_every_s: Time between two writes.
    """

    checkpoint: _Text | None = None
    checkpoint_every_s: _Time = 1.0
