"""The numbers of the reference: all recorded cases, by the device, in float32 and bfloat16."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks.gpu_parts.setting import Row, Setting
from ssa_stream.checkpoints import VerifyReport, verify_folder
from ssa_stream.errors import SsaStreamError

GOLDEN = Path(__file__).resolve().parents[2] / "tests" / "contract" / "golden" / "small"


def rows(setting: Setting) -> Iterator[Row]:
    """Largest deviations over the root mean square of what is recorded; float32 has to pass, bfloat16 is told."""
    for dtype in setting.dtypes[::-1]:
        name = str(dtype).removeprefix("torch.")
        began_s = time.perf_counter()
        report = _report(setting, dtype)
        yield Row(f"{name}: {len(report.cases)} cases", time.perf_counter() - began_s, "s")
        for stage in ("queries", "probability", "mask_logits"):
            errors = [one.error for case in report.cases for one in case.comparisons if one.name.startswith(stage)]
            if errors:
                yield Row(f"{name}: {stage}, largest deviation", max(errors), "rms")
        yield Row(f"{name}: passed", "yes" if report.passed else "no" if report.is_binding else "not binding")
        if dtype == torch.float32 and not report.passed:
            first = report.first_deviation
            where = "" if first is None else f": {first[1].name} of {first[0].name} deviates first"
            raise SsaStreamError(f"float32 on {setting.device} does not give the reference's numbers{where}")


def _report(setting: Setting, dtype: torch.dtype) -> VerifyReport:
    if not setting.small:
        return verify_folder(GOLDEN, device=setting.device, dtype=dtype)
    with tempfile.TemporaryDirectory() as place:  # one case is enough
        for file in ("config.json", "keys.json", "T1.npz"):
            shutil.copy(GOLDEN / file, place)
        return verify_folder(place, device=setting.device, dtype=dtype)
