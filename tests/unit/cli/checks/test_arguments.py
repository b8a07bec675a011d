"""What is wrong with arguments is told before torch is imported."""

import importlib.util

import pytest

from ssa_stream.cli.checks.arguments import check_engine
from ssa_stream.engines import ENGINES
from ssa_stream.errors import ConfigError


def test_engine_that_is_there_is_taken_and_its_name_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine whose library is missing is refused with the command that installs it."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "openvino" else object())
    for name in ENGINES:
        if name != "openvino":
            check_engine(name)
    with pytest.raises(ConfigError, match=r"--engine is openvino, which is not installed; install it with: .+"):
        check_engine("openvino")
    with pytest.raises(ConfigError, match=r"model\.engine is 'x'; expected one of auto, torch, "):
        check_engine("x", "model.engine")
