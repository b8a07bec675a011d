"""A command says when deformable attention runs the slow way, and when a first start took its time."""

import pytest

from ssa_stream.cli.options.engine import _tell_operator
from ssa_stream.model import OperatorChoice


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (OperatorChoice("numba"), []),
        (OperatorChoice("torch"), []),
        (OperatorChoice("numba", "", 4.2), ["compiled for this processor in 4 s"]),
        (
            OperatorChoice("torch", "numba is not installed"),
            ["(numba is not installed)", "several times as fast after: "],
        ),
        (OperatorChoice("torch", "numba gives other numbers here"), ["(numba gives other numbers here)"]),
    ],
    ids=["kernel", "chosen", "compiled", "missing", "refused"],
)
def test_tell_operator_says_what_is_to_be_known(
    choice: OperatorChoice, said: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """One line, or none where all is as usual."""
    _tell_operator(choice)
    printed = capsys.readouterr().err
    assert len(printed.splitlines()) == bool(said)
    assert all(part in printed for part in said)
    assert ("after: " in printed) == ("not installed" in choice.reason)
