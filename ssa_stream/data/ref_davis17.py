"""Reader of Ref-DAVIS17, as it is downloaded (raw), or as ReferFormer's script leaves it (converted).

Raw: `DAVIS/` with `ImageSets/2017`, `JPEGImages/480p` and `Annotations_unsupervised/480p`, and
`davis_text_annotations/`. Converted: `<split>/JPEGImages`, `<split>/Annotations` and
`meta_expressions/<split>/meta_expressions.json`. Both give the same. Four annotators describe each object: expression
`4 * i + k` is what annotator `k` says of the object at place `i` of the video's object ids, sorted as text.
"""

import io
import logging
import os
from pathlib import Path
from typing import Final

from ssa_stream.data.labelled_videos import LabelledVideos, object_number, parse_object
from ssa_stream.data.meta_expressions import MOST_CHARACTERS, MOST_FRAMES, read_meta_expressions
from ssa_stream.data.reading import is_file_name, whole_number
from ssa_stream.data.referring import ReferringExpression, ReferringVideo
from ssa_stream.errors import ConfigError
from ssa_stream.files import read_limited
from ssa_stream.texts import brief

__all__ = ["ANNOTATORS", "RefDavis17"]

_log = logging.getLogger(__name__)
ANNOTATORS: Final = 4
"""How many people describe each object; expression `i` is of annotator `i % 4`."""
_TEXTS: Final = (
    ("Davis17_annot1.txt", "utf-8-sig"),
    ("Davis17_annot1_full_video.txt", "utf-8-sig"),
    ("Davis17_annot2.txt", "latin-1"),
    ("Davis17_annot2_full_video.txt", "latin-1"),
)
_RIGHT_NAMES: Final = {"clasic-car": "classic-car", "dog-scale": "dogs-scale", "motor-bike": "motorbike"}
"""Videos that the sentences call by other names than the pictures."""
_MOST_TEXT_BYTES: Final = 16 * 2**20
_EXPECTED: Final = "the root of Ref-DAVIS17: DAVIS and davis_text_annotations, or meta_expressions, train and valid"


class RefDavis17(LabelledVideos):
    """One split.

    Args:
        root: Of the data set, in either layout; where both are there, the converted one is read.
        split: `train` or `valid`; `val` means `valid`.
    Raises:
        ConfigError: A file is missing, unreadable or not in the format.
    """

    def __init__(self, root: Path | str, split: str) -> None:
        root = Path(root)
        split = "valid" if split == "val" else split
        converted = root / "meta_expressions" / split / "meta_expressions.json"
        davis = root / "DAVIS"
        if os.path.lexists(converted) or not davis.is_dir():
            videos = _read_converted(converted)
            super().__init__(videos, root / split / "JPEGImages", root / split / "Annotations", converted)
        else:
            path = davis / "ImageSets" / "2017" / f"{'val' if split == 'valid' else split}.txt"
            pictures = davis / "JPEGImages" / "480p"
            videos = _read_raw(path, pictures, root / "davis_text_annotations")
            super().__init__(videos, pictures, davis / "Annotations_unsupervised" / "480p", path)

    @property
    def annotators(self) -> int:
        """How many people describe each object."""
        return ANNOTATORS


def _read_converted(path: Path) -> dict[str, ReferringVideo]:
    videos = read_meta_expressions(
        path, _EXPECTED, lambda key, text, entry, where: parse_object(path, key, text, entry, where)
    )
    for name, video in videos.items():
        for expression in video.expressions:
            if whole_number(expression.expression_id) is None:
                raise ConfigError(
                    f"{path}: videos.{name} has the expression {brief(expression.expression_id)}; expected numbers, "
                    "by which the annotators are told apart"
                )
    return {
        name: ReferringVideo(
            name, video.frames, tuple(sorted(video.expressions, key=lambda expression: int(expression.expression_id)))
        )
        for name, video in videos.items()
    }


def _read_raw(path: Path, pictures: Path, texts: Path) -> dict[str, ReferringVideo]:
    names = [line.strip() for line in _read_lines(path, "utf-8-sig") if line.strip()]
    if (wrong := next((name for name in names if not is_file_name(name)), None)) is not None:
        raise ConfigError(f"{path} has the line {brief(wrong)}; expected the name of a folder in {pictures}")
    said = [_read_sentences(texts / file, encoding) for file, encoding in _TEXTS]
    videos = {}
    for name in dict.fromkeys(names):
        of_video = [sentences.get(name, []) for sentences in said]
        for (file, _), sentences in zip(_TEXTS, of_video, strict=True):
            if not sentences:
                raise ConfigError(f"{texts / file} has no sentence about {brief(name)}, which {path} names")
        if len({tuple(target for target, _ in sentences) for sentences in of_video}) > 1:
            _log.warning(
                "%s: the annotators do not speak of the same objects of %s; sentences are paired by their order, as "
                "the published conversion does, and some may be left out",
                texts,
                name,
            )
        in_turn = [sentence for group in zip(*of_video, strict=False) for sentence in group]
        expressions = (
            ReferringExpression(str(number), text, (str(object_number(target)),))
            for number, (target, text) in enumerate(in_turn)
        )
        videos[name] = ReferringVideo(name, _frame_names(pictures / name), tuple(expressions))
    return videos


def _read_sentences(path: Path, encoding: str) -> dict[str, list[tuple[str, str]]]:
    """Objects and sentences by video, in the order of the objects' numbers as text."""
    found: dict[str, list[tuple[str, str]]] = {}
    for number, line in enumerate(_read_lines(path, encoding), 1):
        words = line.split()
        if not words:
            continue
        if len(words) < 3 or object_number(words[1]) is None:
            raise ConfigError(
                f"{path}, line {number} is {brief(line.strip())}; expected a video, the number of an object and a "
                "sentence in quotes"
            )
        sentence = " ".join(words[2:])[1:-1]
        if len(sentence) > MOST_CHARACTERS:
            raise ConfigError(f"{path}, line {number} has more than {MOST_CHARACTERS} characters; expected a sentence")
        found.setdefault(_RIGHT_NAMES.get(words[0], words[0]), []).append((words[1], sentence))
    return {name: sorted(sentences, key=lambda sentence: sentence[0]) for name, sentences in found.items()}


def _read_lines(path: Path, encoding: str) -> list[str]:
    try:
        content = read_limited(path, most_bytes=_MOST_TEXT_BYTES)
        # Not str.splitlines: it ends a line at characters that a sentence may hold, as 0x85 of latin-1.
        return list(io.StringIO(content.decode(encoding), newline=None))
    except FileNotFoundError as error:
        raise ConfigError(f"{path} is missing; expected {_EXPECTED}") from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read as {encoding} text: {error}") from error


def _frame_names(folder: Path) -> tuple[str, ...]:
    try:
        names = sorted(
            path.stem for path in folder.iterdir() if path.suffix == ".jpg" and not path.name.startswith(".")
        )
    except OSError as error:
        raise ConfigError(f"{folder} cannot be read: {error}; expected a video's frames") from error
    if not 1 <= len(names) <= MOST_FRAMES:
        raise ConfigError(f"{folder} has {len(names)} pictures; expected one or more, and at most {MOST_FRAMES}")
    return tuple(names)
