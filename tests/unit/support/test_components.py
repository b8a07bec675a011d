"""`require` skips, or fails where components must be there."""

import pytest

from tests.support.components import REQUIRE_VARIABLE, require


def test_require_available_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing happens, whether components must be there or not."""
    monkeypatch.setenv(REQUIRE_VARIABLE, "1")
    require("a kettle", True, "buy one")


@pytest.mark.parametrize("value", [None, "", "0"], ids=["unset", "empty", "zero"])
def test_require_missing_skips_with_reason(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    """The reason names the component and the way to get it."""
    if value is None:
        monkeypatch.delenv(REQUIRE_VARIABLE, raising=False)
    else:
        monkeypatch.setenv(REQUIRE_VARIABLE, value)
    with pytest.raises(pytest.skip.Exception, match=r"needs a kettle.*to get it: buy one"):
        require("a kettle", False, "buy one")


def test_require_missing_where_required_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that promised the component is told that it is not there."""
    monkeypatch.setenv(REQUIRE_VARIABLE, "1")
    with pytest.raises(pytest.fail.Exception, match=r"needs a kettle.*to get it: buy one"):
        require("a kettle", False, "buy one")
