"""What a prediction was made with, written beside it, so that only the same is gone on with."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from ssa_stream.errors import ConfigError
from ssa_stream.files import read_limited, write_whole
from ssa_stream.texts import brief

if TYPE_CHECKING:
    from ssa_stream.model import SsaConfig

__all__ = ["PredictSettings", "random_fingerprint", "write_or_compare_asked"]

_MOST_BYTES, _MOST_ASKED_BYTES = 2**20, 2**26
_SHOWN = 12
"""Digits of a fingerprint in messages."""
_KIND, _VERSION = "prediction", 1
_RANDOM = "random-"


class PredictSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the masks depend on; fields may be added.

    Attributes:
        data: Kind of the data set, as in `KIND:DIR`.
        split: Its split.
        mevis_version: Of the file of sentences; None for other data sets.
        network: Fingerprint of the weight file, or of the configuration of random weights.
        network_name: What messages call it; the same weights may have another name later.
        clip: Of the file with CLIP's weights, or the tag that was downloaded; None if the checkpoint holds them.
        clip_name: What messages call it.
        dtype: `float32` or `bfloat16`.
        precision: How the pixel decoder computes: `auto`, `published` or `fast`.
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
    mevis_version: int | None = None
    network: str
    network_name: str = ""
    clip: str | None = None
    clip_name: str = ""
    dtype: str = "float32"
    precision: str = "published"
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
            if not name.endswith("_name") and getattr(before, name) != getattr(self, name):
                raise ConfigError(
                    f"{path.parent.parent} was begun with {name} {before._shown(name)}, and this is "
                    f"{self._shown(name)}; masks of both would be mixed: give the same options, or another folder"
                )

    def _shown(self, name: str) -> str:
        """A setting as messages have it: a file by its name, and the beginning of its fingerprint."""
        value = getattr(self, name)
        called = getattr(self, f"{name}_name", "")
        return f"{called} ({value.removeprefix(_RANDOM)[:_SHOWN]})" if called and value else str(value)


def random_fingerprint(config: "SsaConfig") -> str:
    """The fingerprint of a network whose weights are made, which are always the same."""
    content = msgspec.json.encode(config, order="deterministic")
    return f"{_RANDOM}{hashlib.sha256(content).hexdigest()}"


def write_or_compare_asked(path: Path, asked: Mapping[str, str | None]) -> None:
    """Write what is asked of each video, or make sure that it is what was asked; several processes may do so at once.

    A video that could not be read may be repaired later: what is asked of it is noted then.

    Args:
        path: The file.
        asked: A fingerprint for each video of the split; None where it cannot be read.
    Raises:
        ConfigError: Something else was asked, or something else is there.
    """
    try:
        write_whole(path, _encoded_asked(asked), overwrite=False)
        return
    except FileExistsError:
        pass
    try:
        before = msgspec.json.decode(read_limited(path, most_bytes=_MOST_ASKED_BYTES), type=dict[str, str | None])
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}; expected what is asked of each video") from error
    names = [*asked, *(name for name in before if name not in asked)]
    both = [(name, before[name], asked[name]) for name in names if name in before and name in asked]
    differ = [name for name in names if name not in before or name not in asked]
    differ += [name for name, was, now in both if None not in (was, now) and was != now]
    if differ:
        raise ConfigError(
            f"{path.parent.parent} was begun with other sentences or frames: {len(differ)} of {len(names)} videos "
            f"differ, such as {brief(differ[0])}; masks of both would be mixed: give the same data set, or another "
            f"folder"
        )
    known = {name: now if was is None else was for name, was, now in both}
    if known != before:
        write_whole(path, _encoded_asked(known))


def _encoded_asked(asked: Mapping[str, str | None]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(asked), indent=1) + b"\n"
