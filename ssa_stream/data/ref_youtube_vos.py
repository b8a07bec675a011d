"""Reader of Ref-YouTube-VOS.

On disk: `<split>/JPEGImages/<video>/<frame>.jpg`, `meta_expressions/<split>/meta_expressions.json` and, for `train`,
`train/Annotations/<video>/<frame>.png`. Expressions of `valid` are listed for the videos of `test` too. Targets of
`valid` and `test` are not released; who has them gives a folder of them, or puts what is in it into `valid`.
"""

import os
from pathlib import Path
from typing import Final

from ssa_stream.data.labelled_videos import LabelledVideos, parse_object
from ssa_stream.data.meta_expressions import read_meta_expressions
from ssa_stream.data.referring import ReferringVideo
from ssa_stream.errors import ConfigError

__all__ = ["RefYoutubeVos"]

_EXPECTED: Final = "the root of Ref-YouTube-VOS, with meta_expressions, train, valid and test"
_TRUTH_NAME: Final = "meta_expressions_with_obj_id.json"
_EXPECTED_TRUTH: Final = f"a folder of the truth, with Annotations and {_TRUTH_NAME}"


class RefYoutubeVos(LabelledVideos):
    """One split.

    Args:
        root: Of the data set.
        split: `train`, `valid` or `test`.
        truth: A folder with `Annotations` and `meta_expressions_with_obj_id.json`, where targets are not released.
    Raises:
        ConfigError: A file is missing, unreadable or not in the format, or the truth lacks a sentence.
    """

    def __init__(self, root: Path | str, split: str, truth: Path | None = None) -> None:
        root = Path(root)
        path = _meta_path(root, split)
        videos = _read(path, _EXPECTED)
        if split == "valid":
            other = _read(_meta_path(root, "test"), f"{_EXPECTED}: expressions of valid are listed with those of test")
            videos = {name: video for name, video in videos.items() if name not in other}
        if truth is None and os.path.lexists(root / split / _TRUTH_NAME):
            truth = root / split
        if truth is not None:
            videos = _with_targets(videos, truth / _TRUTH_NAME, path)
        super().__init__(videos, root / split / "JPEGImages", (truth or root / split) / "Annotations", path)


def _meta_path(root: Path, split: str) -> Path:
    return root / "meta_expressions" / split / "meta_expressions.json"


def _read(path: Path, expected: str) -> dict[str, ReferringVideo]:
    return read_meta_expressions(
        path, expected, lambda key, text, entry, where: parse_object(path, key, text, entry, where)
    )


def _with_targets(videos: dict[str, ReferringVideo], path: Path, meta_path: Path) -> dict[str, ReferringVideo]:
    """The videos with the targets that a file of the truth names."""
    truth = _read(path, _EXPECTED_TRUTH)
    found = {}
    for name, video in videos.items():
        known = (
            {expression.expression_id: expression for expression in truth[name].expressions} if name in truth else {}
        )
        expressions = []
        for expression in video.expressions:
            true = known.get(expression.expression_id)
            if true is None or not true.has_targets:
                raise ConfigError(
                    f"{path} has no obj_id for expression {expression.expression_id} of video {name!r}; expected one "
                    f"for all of {meta_path}"
                )
            if true.text.split() != expression.text.split():
                raise ConfigError(
                    f"{path} has another text for expression {expression.expression_id} of video {name!r} than "
                    f"{meta_path}; expected the truth of the same release"
                )
            expressions.append(true)
        found[name] = ReferringVideo(name, video.frames, tuple(expressions))
    return found
