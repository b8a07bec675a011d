"""Results files, anybody's: JSON lists of scored masks in COCO's form, each entry checked by itself.

What pycocotools would read beyond its memory never gets there. What the published scorers do with each odd entry is
said beside it.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from ssa_stream.data.reading import read_json
from ssa_stream.data.segmentations import checked_runs
from ssa_stream.errors import ConfigError, misnamed
from ssa_stream.evaluation.score.object_truth import Truth
from ssa_stream.evaluation.score.request import expect_no_zip
from ssa_stream.metrics.average_precision import Rle
from ssa_stream.metrics.single_object import Box
from ssa_stream.texts import brief

__all__ = ["Answer", "Problem", "Results", "Stops", "read_answers", "results_file"]

_MOST_BYTES: Final = 2**30
_MOST_SHOWN: Final = 5
_NAMES: Final = ("predictions.json", "results.json")

Stops = Literal["nothing", "masks", "boxes", "everything"]
"""Which figures the published scorer does not give because of a problem."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with an entry.

    Attributes:
        text: What came, and what was expected.
        published: What the published scorer does.
        strict: What the strict count does.
        stops: Figures that the published scorer does not give then.
    """

    text: str
    published: str
    strict: str
    stops: Stops = "everything"


@dataclass(slots=True, eq=False)
class Answer:
    """One entry of a results file.

    Attributes:
        number: In the file, from 0.
        sample_id: Of a sample of the split; None if it names none.
        score: None if it is no number.
        mask: None if it has none, or a broken one.
        box: Corners as the entry gives them; None if it has none, or a broken one.
        category: None if it has none.
        problems: What is wrong with it.
    """

    number: int
    sample_id: str | int | None = None
    score: float | None = None
    mask: Rle | None = None
    box: Box | None = None
    category: int | None = None
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False)
class Results:
    """A results file.

    Attributes:
        answers: In the file's order.
        has_boxes: Whether pycocotools takes the list for boxes with masks, as the first one has a box. It then takes
            the third times the fourth number of a box for the area of the answer.
    """

    answers: tuple[Answer, ...]
    has_boxes: bool


def results_file(place: Path, kind: str, split: str) -> Path:
    """The results file that was meant.

    Args:
        place: A file; or a folder with one JSON file, or with one named `predictions.json`, `results.json` or
            `<kind>_<split>.json`.
        kind: Of the data set.
        split: Its split.
    Raises:
        ConfigError: The folder has none, or several of other names; or it is a zip.
    """
    if not place.is_dir():
        expect_no_zip(place)
        return place
    found = sorted(path for path in place.iterdir() if path.suffix == ".json" and path.is_file())
    named = [path for path in found if path.name in (*_NAMES, f"{kind}_{split}.json")]
    for paths in (named, found):
        if len(paths) == 1:
            return paths[0]
    names = ", ".join(path.name for path in found[:_MOST_SHOWN]) or "no JSON file"
    raise misnamed(
        ConfigError(
            f"{place} holds {names}{', ...' if len(found) > _MOST_SHOWN else ''}; expected one results file, or one "
            f"named {_NAMES[0]}: give the file itself"
        )
    )


def read_answers(path: Path, truth: Truth) -> Results:
    """Read and check all entries, in the file's order.

    Args:
        path: A JSON list of `{"image_id", "category_id", "segmentation": {"size", "counts"}, "score"}`, and for boxes
            `"bbox"`: left, top, right, bottom.
        truth: The samples that answers may name.
    Raises:
        ConfigError: The file is missing, no such list, empty, or all of it is about other samples.
    """
    content = read_json(path, _MOST_BYTES, "a results file in COCO's form", allows_not_a_number=True)
    if not isinstance(content, list):
        raise ConfigError(f"{path} is {brief(content)}; expected a list of results in COCO's form")
    if not content:
        raise ConfigError(f"{path} is an empty list; expected an answer for each sample, in COCO's form")
    has_boxes = _loads_as_boxes(content)
    answers = []
    for number in range(len(content)):
        answers.append(_answer(number, content[number], truth, has_boxes))
        content[number] = None  # what was read is let go
    if all(answer.sample_id is None for answer in answers):
        raise misnamed(
            ConfigError(
                f"{path} has no answer for a sample of this split, such as {brief(next(iter(truth.samples)))}; "
                f"{answers[0].problems[0].text}. Is it of another data set or split?"
            )
        )
    return Results(tuple(answers), has_boxes)


def _loads_as_boxes(content: list[Any]) -> bool:
    """Whether pycocotools takes all results for boxes with masks: it looks at the first one."""
    return isinstance(content[0], dict) and content[0].get("bbox", []) != []


def _answer(number: int, entry: object, truth: Truth, has_boxes: bool) -> Answer:
    answer = Answer(number)
    if not isinstance(entry, dict):
        answer.problems.append(Problem(f"it is {brief(entry)}; expected an object", "stops", "leaves it out"))
        return answer
    _read_sample(answer, entry, truth.samples)
    _read_score(answer, entry)
    _read_category(answer, entry, truth.categories)
    _read_box(answer, entry, has_boxes, truth.has_boxes)
    if answer.sample_id is not None:
        _read_mask(answer, entry, truth.samples[answer.sample_id].size, has_boxes)
    return answer


def _read_sample(answer: Answer, entry: Mapping[str, Any], samples: Collection[str | int]) -> None:
    name = entry.get("image_id")
    if isinstance(name, str | int) and name in samples:
        answer.sample_id = name
        return
    text = f"its image_id is {brief(name)}" if "image_id" in entry else "it has no image_id"
    hint = "the name of a sample of the split"
    if isinstance(name, str) != isinstance(next(iter(samples)), str):
        hint += f", such as {brief(next(iter(samples)))}"
    published = "stops: loadRes takes results of the split alone"
    answer.problems.append(Problem(f"{text}; expected {hint}", published, "leaves it out"))


def _read_score(answer: Answer, entry: Mapping[str, Any]) -> None:
    score = entry.get("score")
    if not isinstance(score, int | float):
        text = f"its score is {brief(score)}" if "score" in entry else "it has no score"
        answer.problems.append(Problem(f"{text}; expected a number", "stops", "leaves it out"))
        return
    try:
        answer.score = float(score)
    except OverflowError:
        answer.score = math.inf
    if not math.isfinite(answer.score):
        text = f"its score is {answer.score}; expected a number"
        published = "sorts it as Python and numpy do, so that the order hangs on the order of the file"
        answer.problems.append(Problem(text, published, "leaves it out", "nothing"))


def _read_category(answer: Answer, entry: Mapping[str, Any], categories: Collection[int]) -> None:
    category: Any = entry.get("category_id")
    if "category_id" not in entry or isinstance(category, list | dict):
        text = "it has no category_id; expected one, which is not looked at otherwise"
        answer.problems.append(Problem(text, "stops", "counts it"))
    elif category in categories:
        answer.category = int(category)
    else:
        text = f"its category_id is {brief(category)}; expected one of the data set's, such as {next(iter(categories))}"
        published = "leaves it out of the average precision, though categories play no role, and counts it in P@K"
        answer.problems.append(Problem(text, published, "counts it", "nothing"))


def _read_box(answer: Answer, entry: Mapping[str, Any], has_boxes: bool, is_scored: bool) -> None:
    box = entry.get("bbox")
    if isinstance(box, list) and len(box) == 4 and all(type(side) in (int, float) for side in box):
        with_numbers = tuple(map(float, box))
        if all(map(math.isfinite, with_numbers)):
            left, top, right, bottom = with_numbers
            answer.box = (left, top, right, bottom)
            return
    if not is_scored and not has_boxes:
        return
    text = f"its bbox is {brief(box)}" if "bbox" in entry else "it has no bbox"
    text += "; expected left, top, right and bottom in pixels" + ("" if has_boxes else ", as the first entry has none")
    stops: Stops = "everything" if has_boxes else "boxes"
    answer.problems.append(Problem(text, "stops", "counts it as wrong" if is_scored else "ignores boxes", stops))


def _read_mask(answer: Answer, entry: Mapping[str, Any], size: tuple[int, int], has_boxes: bool) -> None:
    segmentation = entry.get("segmentation")
    if segmentation is None:
        published = "draws the box as the mask, or stops"
        answer.problems.append(Problem("it has no segmentation", published, "counts it as wrong", "masks"))
        return
    try:
        answer.mask = checked_runs(segmentation, size)
    except ValueError as error:
        published = "stops, or reads other memory than the mask's"
        text = f"its segmentation cannot be read: {error}"
        answer.problems.append(Problem(text, published, "counts it as wrong"))
        return
    is_plain = isinstance(segmentation, dict) and isinstance(segmentation.get("counts"), str)
    if not is_plain and not has_boxes:
        text = "its segmentation is not compressed; expected run lengths as text"
        answer.problems.append(Problem(text, "stops: loadRes takes compressed run lengths alone", "counts it"))
    if tuple(answer.mask["size"]) != size:
        text = f"its mask has the size {list(answer.mask['size'])}; expected {list(size)}"
        published = "matches it with nothing in the average precision, and P@K stops if it is the best of its sample"
        answer.problems.append(Problem(text, published, "counts it as wrong", "nothing"))
