"""What a verification found, as values: per case, over all cases, and as JSON."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from typing import Any, NamedTuple

from ssa_stream.checkpoints.golden_compare import Comparison, Verdict

__all__ = ["CaseReport", "StageResult", "VerifyReport"]


class StageResult(NamedTuple):
    """One stage over all cases and layers.

    Attributes:
        stage: The array's name.
        worst: The comparison that says most: one that deviates if any does, of these the largest error.
        case: In which case it was.
        compared: Number of comparisons.
    """

    stage: str
    worst: Comparison
    case: str
    compared: int


@dataclass(frozen=True)
class CaseReport:
    """How one case went.

    Attributes:
        name: The case.
        comparisons: Everything recorded, in the order of computation.
        notes: What else is worth knowing.
        duration_s: Time of the run and the comparison.
    """

    name: str
    comparisons: tuple[Comparison, ...]
    notes: tuple[str, ...]
    duration_s: float

    @property
    def first_deviation(self) -> Comparison | None:
        """The earliest stage that deviates without excuse."""
        return next((one for one in self.comparisons if one.verdict is Verdict.DEVIATES), None)

    @property
    def flip(self) -> Comparison | None:
        """The earliest decision that flipped within its margin."""
        return next((one for one in self.comparisons if one.verdict is Verdict.FLIPPED), None)


@dataclass(frozen=True)
class VerifyReport:
    """How a golden folder went.

    Attributes:
        folder: The folder.
        weights: Where the weights came from.
        device: Where the network ran.
        dtype: In which type.
        is_binding: Whether deviations are failures; in bfloat16 they are for information.
        cases: One report per case.
        order: The stages' names in the order of computation.
        notes: What else is worth knowing.
    """

    folder: str
    weights: str
    device: str
    dtype: str
    is_binding: bool
    cases: tuple[CaseReport, ...]
    order: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether every case agrees."""
        return not self.is_binding or all(case.first_deviation is None for case in self.cases)

    @property
    def first_deviation(self) -> tuple[CaseReport, Comparison] | None:
        """The earliest stage of the network that deviates in any case, and the case where it is worst."""
        found = [(case, case.first_deviation) for case in self.cases]
        ranked = [
            (self.order.index(one.name), -one.error, i, one) for i, (_, one) in enumerate(found) if one is not None
        ]
        if not ranked:
            return None
        _, _, i, one = min(ranked, key=lambda entry: entry[:3])
        return self.cases[i], one

    def stages(self) -> Iterator[StageResult]:
        """Each stage's result over the cases, in the order of computation."""
        severity = (Verdict.AGREES, Verdict.AFTER_FLIP, Verdict.FLIPPED, Verdict.DEVIATES)
        for stage in dict.fromkeys(name.partition("[")[0] for name in self.order):
            found = [(one, case.name) for case in self.cases for one in case.comparisons if one.stage == stage]
            if found:
                worst, case_name = max(found, key=lambda pair: (severity.index(pair[0].verdict), pair[0].error))
                yield StageResult(stage, worst, case_name, len(found))

    def to_mapping(self) -> dict[str, Any]:
        """The report as plain dictionaries and lists, for JSON; an infinite error becomes None."""
        first = self.first_deviation
        return {
            "passed": self.passed,
            "folder": self.folder,
            "weights": self.weights,
            "device": self.device,
            "dtype": self.dtype,
            "is_binding": self.is_binding,
            "first_deviation": None if first is None else {"case": first[0].name, "stage": first[1].name},
            "notes": list(self.notes),
            "cases": [
                {
                    "name": case.name,
                    "duration_s": round(case.duration_s, 3),
                    "notes": list(case.notes),
                    "comparisons": [_mapping(one) for one in case.comparisons],
                }
                for case in self.cases
            ],
        }


def _mapping(one: Comparison) -> dict[str, Any]:
    return {
        "stage": one.stage,
        "layer": one.layer,
        "error": one.error if isfinite(one.error) else None,
        "tolerance": one.tolerance,
        "verdict": one.verdict.value,
        "detail": one.detail,
    }
