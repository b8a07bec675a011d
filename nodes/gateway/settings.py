"""Settings that a gateway gets at its start."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from ssa_stream.errors import ConfigError
from ssa_stream.files import write_whole
from ssa_stream.keys import ClientKeys
from ssa_stream.nodes.runtime.http.connections import HttpLimits

__all__ = [
    "CAMERA",
    "ControlAccess",
    "GatewaySettings",
    "IceServer",
    "PeerLimits",
    "ServedCheckpoint",
    "StreamAccess",
    "WallLimits",
    "control_socket",
    "health_socket",
    "load_settings",
    "save_settings",
]

CAMERA = "webrtc"
"""Source of a stream whose pictures a browser, or any other WHIP client, sends."""
_Positive = Annotated[int, Meta(ge=1)]
_Time = Annotated[float, Meta(gt=0, le=7 * 86_400)]


class PeerLimits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much peers may take.

    Attributes:
        peers: Connections at once. Of those that are not made yet, one address has at most half as many.
        bitrate_kbps: What a camera may send; it is told, and cut off at one and a half times that.
        edge_px: Longest edge of a camera's picture.
        offer_bytes: Length of an offer.
        message_bytes: Length of a message about prompts.
        messages_per_s: Rate of them, for each peer; twice as many may come at once.
        mask_bytes: Length of a message with masks; larger ones are sent at half size.
        session_s: Longest session.
        connect_s: How long a peer may take to connect after its offer was answered.
        silence_s: A peer of which nothing came for so long is gone.
        media_sections: Of an offer; each may need a socket for every address of this machine.
        candidates: Of an offer: addresses at which the peer is looked for.
        checks: Datagrams that one session sends to addresses from which nothing has come.
        checks_per_s: The same for all sessions together, on average; twice as many may be sent at once.
    """

    peers: _Positive = 8
    bitrate_kbps: _Positive = 4000
    edge_px: _Positive = 1920
    offer_bytes: _Positive = 65_536
    message_bytes: _Positive = 16_384
    messages_per_s: _Positive = 20
    mask_bytes: _Positive = 131_072
    session_s: _Time = 3600.0
    connect_s: _Time = 15.0
    silence_s: _Time = 6.0
    media_sections: _Positive = 4
    candidates: _Positive = 16
    checks: _Positive = 50
    checks_per_s: _Positive = 50


class WallLimits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much the page of all streams may take.

    Attributes:
        pictures_per_s: Of each stream, however many look.
        edge_px: Longest edge of a picture.
        viewers: Who wait for pictures at once.
    """

    pictures_per_s: Annotated[float, Meta(gt=0, le=30)] = 2.0
    edge_px: Annotated[int, Meta(ge=16)] = 480
    viewers: _Positive = 64


class IceServer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A STUN or TURN server, as browsers describe it."""

    urls: str
    username: str | None = None
    credential: str | None = None


class StreamAccess(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How peers may use a stream.

    Attributes:
        kind: `camera`: a peer sends its pictures; `source`: the graph has a source of its own; `scene`: a made-up one.
        label: What to call its source, without secrets.
    """

    kind: Literal["camera", "source", "scene"]
    label: str


class ServedCheckpoint(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a page tells of the checkpoint; see `ssa_stream.knowledge.Knowledge`.

    Attributes:
        name: What to call it.
        domain: What it was trained on, such as `drawn shapes`; None if it does not say.
        examples: Sentences that it follows.
    """

    name: str
    domain: str | None = None
    examples: tuple[str, ...] = ()


class ControlAccess(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the gateway says how it fares.

    Attributes:
        address: Where the broker listens to it.
        heartbeat_s: Between two signs of life.
        heartbeat_timeout_s: Silence after which one side takes the other for lost.
    """

    address: str
    heartbeat_s: _Time = 0.25
    heartbeat_timeout_s: _Time = 3.0


class GatewaySettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that the process of a gateway needs.

    Attributes:
        host: Address of the page.
        port: Its port; 0 takes a free one.
        publish: Where the graph publishes.
        requests: Where it takes requests.
        keys: With what to connect to both: public and secret key, and the graph's public one; None where none is asked.
        run_dir: Folder of the local sockets.
        streams: By name.
        checkpoint: What runs.
        token: What a peer must know; None lets everybody in.
        tls_cert: Certificate file; None without TLS.
        tls_key: Its key.
        origins: Other origins whose pages may use the gateway, such as `https://robot.example`.
        hosts: Other names of this host that browsers may use.
        ice_servers: For the gateway and for browsers.
        loopback_media: Send and take media at 127.0.0.1 only, which browsers do in tests.
        session_threshold: Least score of tracks that the graph publishes.
        limits: Of peers; see there.
        wall: Of the page of all streams; see there.
        http: Of connections to the page; see there.
        control: Where it says how it fares; None: nowhere.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535)] = 8080
    publish: str
    requests: str
    keys: tuple[str, str, str] | None = None
    run_dir: str
    streams: dict[str, StreamAccess]
    checkpoint: ServedCheckpoint = ServedCheckpoint(name="unknown")
    token: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    origins: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    ice_servers: tuple[IceServer, ...] = ()
    loopback_media: bool = False
    session_threshold: float = 0.5
    limits: PeerLimits = PeerLimits()
    wall: WallLimits = WallLimits()
    http: HttpLimits = HttpLimits()
    control: ControlAccess | None = None

    @property
    def client_keys(self) -> ClientKeys | None:
        """The keys as a socket takes them."""
        return None if self.keys is None else ClientKeys(*(key.encode("ascii") for key in self.keys))

    @property
    def cameras_socket(self) -> Path:
        """Where ingest nodes take the pictures of cameras."""
        return Path(self.run_dir, "cameras.sock")

    @property
    def pictures_socket(self) -> Path:
        """Where the masks node leaves pictures of the graph's own sources."""
        return Path(self.run_dir, "pictures.sock")


def health_socket(run_dir: Path) -> Path:
    """Where the process that runs the graph answers for its health."""
    return run_dir / "health.sock"


def control_socket(run_dir: Path) -> Path:
    """Where the broker listens to a gateway."""
    return run_dir / "control.sock"


def save_settings(settings: GatewaySettings, path: Path) -> None:
    """Write settings for another process, readable for its owner only: they hold the token.

    Raises:
        OSError: They cannot be written.
    """
    write_whole(path, msgspec.json.encode(settings), mode=0o600, survives_power_cut=False)


def load_settings(path: Path) -> GatewaySettings:
    """Read what `save_settings` wrote.

    Raises:
        ConfigError: It cannot be read.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=GatewaySettings)
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(f"cannot read the gateway's settings {path}: {error}") from error
