"""Names that a package imports when they are first asked for."""

import importlib
import sys
from pathlib import Path

import pytest

_INIT = """
from ssa_stream.lazy_names import lazy_names

__getattr__ = lazy_names(__name__, heavy="First Second", **{"inner.heavy": "Third"})
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of a package with two heavy modules that nothing has imported."""
    name = "package_of_lazy_names"
    (tmp_path / name / "inner").mkdir(parents=True)
    (tmp_path / name / "__init__.py").write_text(_INIT)
    (tmp_path / name / "inner" / "__init__.py").touch()
    (tmp_path / name / "heavy.py").write_text("First, Second = object(), object()")
    (tmp_path / name / "inner" / "heavy.py").write_text("Third = object()")
    monkeypatch.syspath_prepend(tmp_path)
    for module in [name, f"{name}.heavy", f"{name}.inner", f"{name}.inner.heavy"]:
        monkeypatch.delitem(sys.modules, module, raising=False)
    return name


def test_module_is_imported_when_its_name_is_asked_for(package: str) -> None:
    """And not before; the name is the module's own, every time."""
    found = importlib.import_module(package)
    assert not {f"{package}.heavy", f"{package}.inner.heavy"} & set(sys.modules)
    assert found.First is sys.modules[f"{package}.heavy"].First is found.First
    assert f"{package}.inner.heavy" not in sys.modules
    assert found.Third is sys.modules[f"{package}.inner.heavy"].Third


def test_unknown_name_is_an_attribute_error(package: str) -> None:
    """As of any module."""
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'Fourth'"):
        importlib.import_module(package).Fourth  # noqa: B018  # asked for, not used
