"""The example of docs/streaming.md runs as it stands."""

import re

import pytest

from tests.support.checkout import ROOT


def test_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """One line per frame, on random weights; ten lines beside the imports and the blank one."""
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/streaming.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len([line for line in example.splitlines() if line and not line.startswith("from ")]) <= 10
    exec(compile(example, "docs/streaming.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert [int(line.split()[0]) for line in lines] == list(range(6))
