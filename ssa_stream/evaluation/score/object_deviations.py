"""What is not as it should be in a results file, by name, with what becomes of it."""

from collections.abc import Iterable, Iterator
from typing import Final

from pycocotools import mask as coco_mask

from ssa_stream.evaluation.score.object_truth import Truth
from ssa_stream.evaluation.score.report import Deviation
from ssa_stream.evaluation.score.results_file import Answer, Problem, Results

__all__ = ["REPEATED", "note_repeated", "object_deviations"]

_MOST_ALIKE: Final = 20
_MOST_LISTED: Final = 1000
REPEATED: Final = Problem(
    "it is there twice, with equal mask and score", "counts both: the second is wrong", "counts it once", "nothing"
)
_OF_MISSING: Final = (
    "counts a miss in the average precision; P@K and IoU stop with an IndexError",
    "counts it as wrong: an IoU of 0",
)


def note_repeated(answers: Iterable[Answer]) -> None:
    """Mark answers that are there twice, as after a run on several processes whose last batches were filled up.

    A system that finds nothing may say so several times: where only empty masks are repeated, nothing is marked.
    """
    seen: set[tuple[object, ...]] = set()
    repeated: dict[object, list[Answer]] = {}
    for answer in answers:
        if answer.mask is not None and answer.sample_id is not None:
            key = (answer.sample_id, answer.score, *answer.mask["size"], answer.mask["counts"])
            if key in seen:
                repeated.setdefault(answer.sample_id, []).append(answer)
            seen.add(key)
    for some in repeated.values():
        if any(answer.mask is not None and coco_mask.area(answer.mask) for answer in some):
            for answer in some:
                answer.problems.append(REPEATED)


def object_deviations(truth: Truth, results: Results) -> Iterator[Deviation]:
    """Each problem of each answer, in the file's order; samples without an answer; and what is odd in the data."""
    yield from _of_answers(results.answers)
    answered = {answer.sample_id for answer in results.answers}
    missing = [name for name in truth.samples if name not in answered]
    for name in missing[:_MOST_LISTED]:
        yield _deviation(str(name), "no answer for it", *_OF_MISSING)
    if len(missing) > _MOST_LISTED:
        text = f"no answer for {len(missing) - _MOST_LISTED} more samples"
        yield _deviation("samples", text, *_OF_MISSING)
    if results.has_boxes and not truth.has_boxes:
        text = "answers have boxes, which this data set does not ask for"
        published = "takes the third times the fourth number of a box for the answer's area in AP S, M and L"
        yield _deviation("results", text, published, "takes the mask's area")
    for sample in truth.repeated:
        text = "two objects of the data set have this name; expected one"
        yield _deviation(str(sample.sample_id), text, "P@K takes the first, the average precision both", "the same")
    if not truth.has_masks:
        text = "masks are not public: the data set's files have boxes alone"
        yield _deviation("data set", text, "stops", "gives no figures of masks")


def _of_answers(answers: Iterable[Answer]) -> Iterator[Deviation]:
    """One deviation for each problem of each answer; many of the same stand together."""
    alike: dict[Problem, list[Answer]] = {}
    for answer in answers:
        for problem in answer.problems:
            alike.setdefault(problem, []).append(answer)
    for number, (problem, some) in enumerate(alike.items()):
        if number == _MOST_LISTED:
            text = f"{len(alike) - _MOST_LISTED} more kinds of problems"
            yield _deviation("results", text, "see above", "see above")
            return
        if len(some) <= _MOST_ALIKE:
            for answer in some:
                yield _deviation(_name(answer), problem.text, problem.published, problem.strict)
        else:
            names = ", ".join(map(_name, some[:_MOST_ALIKE]))
            yield _deviation(f"{len(some)} answers", f"{problem.text}: {names}, ...", problem.published, problem.strict)


def _name(answer: Answer) -> str:
    return f"entry {answer.number}" + ("" if answer.sample_id is None else f", {answer.sample_id}")


def _deviation(about: str, text: str, published: str, strict: str) -> Deviation:
    return Deviation(about=about, text=text, published=published, strict=strict)
