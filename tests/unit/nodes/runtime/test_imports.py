"""A node that runs no network, and the launcher, start without torch."""

import subprocess
import sys

_LOADED = """
import importlib, pkgutil, sys
name = "ssa_stream.nodes.runtime"
for module in pkgutil.iter_modules(importlib.import_module(name).__path__, name + "."):
    importlib.import_module(module.name)
print("torch" in sys.modules, "zmq" in sys.modules)
"""


def test_runtime_loads_no_torch() -> None:
    """It takes seconds and hundreds of megabytes."""
    answer = subprocess.run([sys.executable, "-c", _LOADED], capture_output=True, text=True, check=True, timeout=120)
    assert answer.stdout == "False True\n"
