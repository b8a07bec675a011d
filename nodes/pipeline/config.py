"""Configuration of a graph of nodes: its streams, workers, limits and addresses."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from ssa_stream.errors import ConfigError
from ssa_stream.nodes.pipeline.conversion import convert
from ssa_stream.nodes.pipeline.names import BROKER, DECODER, MASKS, ingest_name, worker_names
from ssa_stream.nodes.pipeline.sections import (
    ClientsSection,
    DecoderSection,
    FlowSection,
    HealthSection,
    MasksSection,
    ModelSection,
    PromptTexts,
    PublicSection,
    SessionSection,
    StreamSection,
    WorkersSection,
    require,
)
from ssa_stream.protocols.identity import expect_plain_text
from ssa_stream.sentences import expect_distinct

if TYPE_CHECKING:
    from ssa_stream.streaming import SessionConfig
from pathlib import Path

import yaml

from ssa_stream.configs import load_config
from ssa_stream.files import write_whole
from ssa_stream.texts import brief, unencodable

__all__ = ["PipelineConfig", "StreamName", "load_pipeline", "save_pipeline"]

StreamName = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,31}\Z")]
"""Short enough for the name of a socket file."""
MAX_STREAMS = 64
_IN_FLIGHT = {"fused": 2, "processes": 4}


class PipelineConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A graph of nodes, checked. Read it with `load_pipeline`, or make one with `from_mapping`.

    The constructor itself checks what concerns several values; ranges and types are checked by `from_mapping`.

    Attributes:
        name: Part of the names of sockets and shared memory.
        placement: `fused`: all nodes in one process. `processes`: one process each, restarted when it ends.
        model: Which network.
        session: How every stream is segmented.
        streams: Source and prompts by the stream's name.
        workers: How many encoders and how many query generators.
        flow: How much may be under way.
        health: When a node counts as lost.
        public: Addresses for subscribers and clients.
        clients: How much subscribers and clients may take.
        masks: What mask messages hold.
        decoder: What survives the end of the decoder.
        overwrite: Replace output files that exist, once the new ones are complete; else they are refused.
    """

    name: Annotated[
        str, Meta(pattern=r"\A[a-z0-9-]{1,24}\Z", description="1 to 24 small letters, digits and dashes")
    ] = "ssa"
    placement: Literal["fused", "processes"] = "fused"
    model: ModelSection = ModelSection()
    session: SessionSection = SessionSection()
    streams: dict[StreamName, StreamSection]
    workers: WorkersSection = WorkersSection()
    flow: FlowSection = FlowSection()
    health: HealthSection = HealthSection()
    public: PublicSection = PublicSection()
    clients: ClientsSection = ClientsSection()
    masks: MasksSection = MasksSection()
    decoder: DecoderSection = DecoderSection()
    overwrite: bool = False

    def __post_init__(self) -> None:
        require(
            1 <= len(self.streams) <= MAX_STREAMS,
            f"streams has {len(self.streams)} entries; expected 1..{MAX_STREAMS}, each NAME: {{source: ...}}",
        )
        limit = self.session.max_prompts
        for name, stream in self.streams.items():
            for prompts in (stream.prompts, *(change.prompts for change in stream.changes)):
                _check_prompts(prompts, f"streams.{name}", limit)

    @classmethod
    def from_mapping(cls, values: dict[str, Any], *, origin: str = "pipeline") -> "PipelineConfig":
        """Check plain values, as YAML gives them.

        Args:
            values: By section; unknown keys are refused.
            origin: Where they come from, for errors.
        Raises:
            ConfigError: A value is wrong; says which one, what it is and what was expected.
        """
        plain = dict(values)
        if (broken := unencodable(plain)) is not None:
            raise ConfigError(
                f"{origin}: it holds {brief(broken)}, which is not text in UTF-8; expected names and sentences that "
                f"are: rename a file whose name is of other bytes"
            )
        streams = plain.get("streams")
        if not isinstance(streams, dict) or not streams:
            raise ConfigError(f"{origin}: streams is {brief(streams)}; expected at least one NAME: {{source: ...}}")
        if wrong := [name for name in streams if not isinstance(name, str)]:
            raise ConfigError(f"{origin}: the name of a stream is {brief(wrong[0])}; expected text")
        # One by one, so that an error names its stream.
        plain["streams"] = {
            name: convert(_with_text_source(stream), StreamSection, origin, f"streams.{name}")
            for name, stream in streams.items()
        }
        return convert(plain, cls, origin)

    def to_mapping(self) -> dict[str, Any]:
        """Plain values that `from_mapping` takes."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain

    @property
    def frames_in_flight(self) -> int:
        """Most unfinished frames of one stream, those held back by lookahead included."""
        return (self.flow.in_flight or _IN_FLIGHT[self.placement]) + self.session.lookahead

    @property
    def ingest_names(self) -> tuple[str, ...]:
        """Nodes that read the sources, in order of the streams."""
        return tuple(ingest_name(stream) for stream in self.streams)

    @property
    def encoder_names(self) -> tuple[str, ...]:
        """Nodes that encode pictures and sentences."""
        return worker_names("encoder", self.workers.encoder)

    @property
    def queries_names(self) -> tuple[str, ...]:
        """Nodes that make queries of features."""
        return worker_names("queries", self.workers.queries)

    @property
    def node_names(self) -> tuple[str, ...]:
        """Every node but the broker, from the end of the graph to its beginning."""
        return (MASKS, DECODER, *self.queries_names, *self.encoder_names, *self.ingest_names)

    @property
    def all_names(self) -> tuple[str, ...]:
        """Every node, the broker included."""
        return (BROKER, *self.node_names)

    def to_session_config(self) -> "SessionConfig":
        """The settings of a stream's session. Imports torch."""
        from ssa_stream.streaming import SessionConfig

        return SessionConfig(**msgspec.structs.asdict(self.session))


def _with_text_source(stream: Any) -> Any:
    """YAML reads the camera `0` as a number."""
    if isinstance(stream, dict) and type(stream.get("source")) is int:
        return stream | {"source": str(stream["source"])}
    return stream


def _check_prompts(prompts: PromptTexts, where: str, limit: int) -> None:
    require(
        len(prompts) <= limit,
        f"{where} has {len(prompts)} prompts; expected at most session.max_prompts ({limit})",
    )
    named = list(prompts.items()) if isinstance(prompts, dict) else [(None, text) for text in prompts]
    texts = [text for _, text in named]
    blank = [text for text in texts if not text.strip()]
    require(not blank, f"{where} has the prompt {blank[:1]}; expected sentences such as 'the red circle'")
    for text in texts:
        try:
            expect_plain_text(text)
        except ValueError as error:
            raise ConfigError(f"{where}: {error}") from error
    try:
        expect_distinct(named)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def load_pipeline(name: str | Path) -> PipelineConfig:
    """Read and check a pipeline.

    Args:
        name: A shipped name such as `demo`, or the path of a YAML file.
    Raises:
        ConfigError: It cannot be read, or a value is wrong.
    """
    return PipelineConfig.from_mapping(load_config("pipeline", name), origin=f"pipeline configuration {str(name)!r}")


def save_pipeline(config: PipelineConfig, path: Path, *, survives_power_cut: bool = True) -> None:
    """Write a pipeline, readable for its owner only: addresses of sources may hold passwords.

    Args:
        config: The pipeline.
        path: Where.
        survives_power_cut: Whether to wait until it is on the disk.
    Raises:
        OSError: It cannot be written.
    """
    content = yaml.safe_dump(config.to_mapping(), sort_keys=False, allow_unicode=True)
    write_whole(path, content, mode=0o600, survives_power_cut=survives_power_cut)
