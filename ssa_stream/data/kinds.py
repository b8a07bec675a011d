"""The public data sets by name, and what opens one: `KIND:DIR` on the command line.

The readers are imported when a data set is opened, as they need packages of the extra `data`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from ssa_stream.data.referring import ReferringData
from ssa_stream.errors import ConfigError, content_errors, is_of_missing_file, misnamed
from ssa_stream.texts import brief

__all__ = ["KINDS", "DataKind", "DataPlace", "Results", "open_data", "parse_data", "split_of"]

Results = Literal["objects", "frames"]
"""What predictions of a data set are: `objects`, a list of scored masks of each sample in COCO's form; `frames`, a
picture for each frame of each sentence."""


@dataclass(frozen=True, slots=True)
class DataKind:
    """A public data set.

    Attributes:
        name: As in `KIND:DIR`.
        title: As in the literature.
        splits: Their names; `val` and `valid` mean the same everywhere.
        default_split: The one that is evaluated where none is named.
        results: Form of its predictions.
    """

    name: str
    title: str
    splits: tuple[str, ...]
    default_split: str
    results: Results


_UNC_SPLITS = ("train", "val", "testA", "testB", "test")
"""The last one is both tests together, as REFER has it."""
KINDS: Final = {
    kind.name: kind
    for kind in (
        DataKind("a2d-sentences", "A2D-Sentences", ("train", "test"), "test", "objects"),
        DataKind("jhmdb-sentences", "JHMDB-Sentences", ("test",), "test", "objects"),
        DataKind("mevis", "MeViS", ("train", "valid_u", "valid"), "valid_u", "frames"),
        DataKind("ref-youtube-vos", "Ref-YouTube-VOS", ("train", "valid", "test"), "valid", "frames"),
        DataKind("ref-davis17", "Ref-DAVIS17", ("train", "valid"), "valid", "frames"),
        DataKind("refcoco", "RefCOCO", (*_UNC_SPLITS, "google-train", "google-val", "google-test"), "val", "objects"),
        DataKind("refcoco+", "RefCOCO+", _UNC_SPLITS, "val", "objects"),
        DataKind("refcocog", "RefCOCOg", ("train", "val", "test", "google-train", "google-val"), "val", "objects"),
    )
}


@dataclass(frozen=True, slots=True)
class DataPlace:
    """A data set on disk."""

    kind: DataKind
    root: Path


def parse_data(text: str) -> DataPlace:
    """Read `KIND:DIR`.

    Raises:
        ConfigError: There is no such kind, no colon, or no such folder.
    """
    name, colon, folder = text.partition(":")
    if not colon or name not in KINDS or not folder:
        raise ConfigError(f"data is {brief(text)}; expected KIND:DIR, where KIND is one of {', '.join(KINDS)}")
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise ConfigError(f"{root} is no folder; expected the root of {KINDS[name].title}")
    return DataPlace(KINDS[name], root)


def split_of(kind: DataKind, split: str | None) -> str:
    """The split of a name, or the default one.

    Raises:
        ConfigError: The data set has no such split.
    """
    if split is None:
        return kind.default_split
    same = {"val": "valid", "valid": "val"}
    for name in (split, same.get(split, split)):
        if name in kind.splits:
            return name
    raise misnamed(ConfigError(f"{kind.title} has no split {brief(split)}; expected {', '.join(kind.splits)}"))


def open_data(place: DataPlace, split: str | None = None, truth: Path | None = None) -> ReferringData:
    """Open one split; reads its index, no frames and no masks.

    Args:
        place: Kind and root of the data set.
        split: Its name; None for the one that is evaluated by default.
        truth: A folder with the targets of a split whose targets are not released; for Ref-YouTube-VOS only.
    Raises:
        ConfigError: There is no such split, files are missing or broken, or the data set takes no `truth`.
    """
    split = split_of(place.kind, split)
    if truth is not None and place.kind.name != "ref-youtube-vos":
        raise misnamed(
            ConfigError(f"a folder of truth is {truth}; {place.kind.title} takes none: its own files hold the targets")
        )
    try:
        with content_errors():
            return _open(place, split, truth)
    except ConfigError as error:
        if is_of_missing_file(error):  # then the folder was given for another data set, or without this split
            misnamed(error)
        raise


def _open(place: DataPlace, split: str, truth: Path | None) -> ReferringData:
    match place.kind.name:
        case "mevis":
            from ssa_stream.data.mevis import MevisReader

            return MevisReader(place.root / split)
        case "ref-youtube-vos":
            from ssa_stream.data.ref_youtube_vos import RefYoutubeVos

            return RefYoutubeVos(place.root, split, truth)
        case "ref-davis17":
            from ssa_stream.data.ref_davis17 import RefDavis17

            return RefDavis17(place.root, split)
        case "a2d-sentences":
            from ssa_stream.data.a2d_sentences import A2dSentences

            return A2dSentences(place.root, split)
        case "jhmdb-sentences":
            from ssa_stream.data.jhmdb_sentences import JhmdbSentences

            return JhmdbSentences(place.root, split)
        case "refcoco" | "refcoco+" | "refcocog":
            from ssa_stream.data.refcoco import Refcoco

            return Refcoco(place.kind.name, place.root, split)
    raise misnamed(ConfigError(f"{place.kind.title} cannot be read"))
