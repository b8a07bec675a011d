"""What a prediction was made with, written beside it, so that only the same is gone on with."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from ssa_stream.errors import ConfigError
from ssa_stream.files import read_limited, write_whole

if TYPE_CHECKING:
    from ssa_stream.model import SsaConfig

__all__ = ["PredictSettings", "random_fingerprint"]

_MOST_BYTES = 2**20
_KIND, _VERSION = "prediction", 1


class PredictSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the masks depend on; fields may be added.

    Attributes:
        data: Kind of the data set, as in `KIND:DIR`.
        split: Its split.
        network: Fingerprint of the weight file, or of the configuration of random weights.
        clip: Of the file with CLIP's weights, or the tag that was downloaded; None if the checkpoint holds them.
        dtype: `float32` or `bfloat16`.
        mode: How queries are selected; None where all are answers.
        window: Frames that the network sees together; None for the whole clip.
        short_edge_px: Shortest edge at the network.
        long_edge_px: Limit of the longest edge.
        limit: Only the first so many sentences; None for all.
        kind: Always `prediction`.
        version: Of this format.
    """

    data: str
    split: str
    network: str
    clip: str | None = None
    dtype: str = "float32"
    mode: Literal["multi", "single"] | None = None
    window: int | None = None
    short_edge_px: int
    long_edge_px: int
    limit: int | None = None
    kind: str = _KIND
    version: int = _VERSION

    def write_or_compare(self, path: Path) -> None:
        """Write them, or make sure that those that are there are the same; several processes may do so at once.

        Raises:
            ConfigError: Others are there, or something else.
        """
        try:
            write_whole(path, msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n", overwrite=False)
        except FileExistsError:
            self._compare(path)

    def _compare(self, path: Path) -> None:
        try:
            before = msgspec.json.decode(read_limited(path, most_bytes=_MOST_BYTES), type=PredictSettings)
        except (OSError, msgspec.DecodeError) as error:
            raise ConfigError(f"{path} cannot be read: {error}; expected the settings of a prediction") from error
        for name in self.__struct_fields__:
            was, now = getattr(before, name), getattr(self, name)
            if was != now:
                raise ConfigError(
                    f"{path.parent.parent} was begun with {name} {was}, and this is {now}; masks of both would be "
                    f"mixed: give the same options, or another folder"
                )


def random_fingerprint(config: "SsaConfig") -> str:
    """The fingerprint of a network whose weights are made, which are always the same."""
    content = msgspec.json.encode(config, order="deterministic")
    return f"random-{hashlib.sha256(content).hexdigest()}"
