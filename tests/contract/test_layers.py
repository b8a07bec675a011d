"""Who may import whom: the rules of tests/support/import_rules.py hold in every file, and each of them bites."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.checkout import ROOT
from tests.support.import_rules import private_imports, violations
from tools.import_picture import module_name, source_files

FILES = [path.relative_to(ROOT) for path in source_files(ROOT)]


@pytest.mark.parametrize("path", FILES, ids=str)
def test_imports_of_module_keep_the_direction(path: Path) -> None:
    """No module imports what its part may not."""
    assert violations(module_name(path), (ROOT / path).read_text(encoding="utf-8")) == []


BREACHES = {
    "errors_imports_nothing": ("errors", "from ssa_stream.model import config"),
    "top_package_imports_nothing": ("", "from ssa_stream.errors import SsaStreamError"),
    "unknown_part": ("utilities.text", "import math"),
    "protocols_no_torch": ("protocols.message_types", "import torch"),
    "protocols_no_torch_in_functions": ("protocols.message_types", "def decode():\n    import torch.nn"),
    "protocols_no_torch_for_types": ("protocols.message_types", "if TYPE_CHECKING:\n    from torch import Tensor"),
    "protocols_no_zmq": ("protocols.topics", "import zmq.asyncio"),
    "protocols_no_configs": ("protocols.topics", "from ssa_stream.configs import load"),
    "protocols_no_other_packages": ("protocols.message_types", "import cv2"),
    "configs_no_protocols": ("configs.loader", "import ssa_stream.protocols.topics"),
    "configs_no_torch": ("configs.loader", "from torch import nn"),
    "client_no_torch": ("client.subscriber", "def show():\n    import torch"),
    "client_no_package_that_brings_torch": ("client.subscriber", "import open_clip"),
    "client_no_streaming": ("client.subscriber", "from ssa_stream.streaming.results import MaskResult"),
    "client_no_nodes": ("client.subscriber", "from ssa_stream.nodes.health import HealthView"),
    "model_no_siblings": ("model.ssa", "from ssa_stream.streaming.results import MaskResult"),
    "model_no_siblings_through_top_package": ("model.ssa", "from ssa_stream import checkpoints"),
    "model_no_siblings_by_name": ("model.ssa", "importlib.import_module('ssa_stream.checkpoints')"),
    "model_no_zmq": ("model.ssa", "import zmq"),
    "streaming_no_checkpoints": ("streaming.session", "from ssa_stream.checkpoints import load"),
    "checkpoints_no_streaming": ("checkpoints.load", "import ssa_stream.streaming"),
    "metrics_no_other_packages": ("metrics.boundary", "import skimage.morphology"),
    "metrics_no_model": ("metrics.boundary", "from ssa_stream.model import ssa"),
    "training_no_streaming": ("training.recipe", "from ssa_stream.streaming import session"),
    "training_no_tiny": ("training.loop.trainer", "from ssa_stream.training.tiny.objective import TinyObjective"),
    "training_no_tiny_through_package": ("training.run", "from ssa_stream.training import tiny"),
    "nodes_no_tiny_training": ("nodes.launcher", "import ssa_stream.training.tiny"),
    "training_no_tiny_in_functions": ("training", "def kinds():\n    from ssa_stream.training.tiny import TinyStage"),
    "data_no_torch_at_import": ("data.readers", "import torch"),
    "data_no_torch_at_import_in_class": ("data.readers", "class Reader:\n    import torch"),
    "data_no_model": ("data.readers", "from ssa_stream.model import config"),
    "sources_no_viz": ("sources.file", "from ssa_stream.viz import overlay"),
    "viz_no_session": ("viz.overlay", "from ssa_stream.streaming.session import Session"),
    "viz_no_whole_streaming": ("viz.overlay", "from ssa_stream import streaming"),
    "sinks_no_sources": ("sinks.video", "import ssa_stream.sources.file"),
    "nodes_no_evaluation": ("nodes.gateway", "from ssa_stream.evaluation import evaluate"),
    "nodes_no_other_node": ("nodes.encoder", "from ssa_stream.nodes.decoder.node import run"),
    "nodes_no_other_node_through_package": ("nodes.encoder", "from ssa_stream.nodes import decoder"),
    "nodes_no_gateway": ("nodes.ingest.node", "from ssa_stream.nodes.gateway.pictures import camera_source"),
    "runtime_no_node": ("nodes.runtime.lifecycle", "from ssa_stream.nodes.decoder.node import run"),
    "node_no_launcher": ("nodes.encoder", "from ssa_stream.nodes.launcher import run_graph"),
    "nobody_imports_cli": ("nodes.encoder", "from ssa_stream.cli.main import main"),
    "cli_no_zmq": ("cli.main", "import zmq"),
    "no_relative_import": ("model.ssa", "from . import layers"),
    "no_relative_import_of_parent": ("model.ssa", "from ..errors import ShapeError"),
    "no_mapped_folder_by_its_path": ("nodes.encoder", "from protocols.message_types import Frame"),
}

ALLOWED = {
    "errors_from_anywhere": ("metrics.boundary", "from ssa_stream.errors import ShapeError"),
    "own_part": ("model.ssa", "from ssa_stream.model.layers import Mlp"),
    "standard_library": ("protocols.message_types", "import asyncio.tasks\nfrom collections import abc"),
    "wire_packages": ("protocols.message_types", "import msgspec\nimport numpy as np"),
    "version": ("protocols.message_types", "from ssa_stream import __version__"),
    "results_for_viz": ("viz.overlay", "from ssa_stream.streaming.results import MaskResult"),
    "results_module_for_sinks": ("sinks.video", "from ssa_stream.streaming import results"),
    "data_torch_in_function": ("data.readers", "def batch():\n    import torch"),
    "data_torch_for_types": ("data.readers", "if TYPE_CHECKING:\n    import torch"),
    "node_parts": (
        "nodes.encoder",
        "from ssa_stream.nodes.pipeline import PipelineConfig\nfrom ssa_stream.nodes.runtime import serving",
    ),
    "launcher_any_node": ("nodes.launcher.fused", "from ssa_stream.nodes.broker import Broker"),
    "node_runtime": ("nodes.encoder", "import zmq\nfrom ssa_stream.nodes.runtime.sockets import bind"),
    "client_for_nodes": ("nodes.gateway", "from ssa_stream.client import MaskSubscription"),
    "client_zmq": ("client.subscriber", "import zmq\nfrom ssa_stream.protocols import messages"),
    "cli_anything": ("cli.main", "import torch\nfrom ssa_stream.nodes import gateway"),
    "recipe_knows_tiny_training": ("training.recipe", "from ssa_stream.training import tiny"),
    "tiny_training_knows_itself": ("training.tiny.runners", "from ssa_stream.training.tiny.clips import TinyBatches"),
    "tiny_training_knows_the_rest": ("training.tiny.runners", "from ssa_stream.training.loop import optimizer"),
    "lookalike_name": ("model.ssa", "import ssa_streaming_tools"),
}


def _full(module: str) -> str:
    return f"ssa_stream.{module}".rstrip(".")


@pytest.mark.parametrize(("module", "source"), BREACHES.values(), ids=BREACHES)
def test_checker_breach_is_caught_once(module: str, source: str) -> None:
    """The checker sees the breach, and says where."""
    found = violations(_full(module), source)
    assert len(found) == 1
    assert found[0].startswith(_full(module))


@pytest.mark.parametrize(("module", "source"), ALLOWED.values(), ids=ALLOWED)
def test_checker_allowed_import_passes(module: str, source: str) -> None:
    """The checker does not forbid more than the rules say."""
    assert violations(_full(module), source) == []


def test_module_name_mapped_folder_is_part_of_package() -> None:
    """A file of a top-level folder goes by the name that it is imported by."""
    names = {str(path): module_name(path) for path in FILES}
    assert names["nodes/runtime/__init__.py"] == "ssa_stream.nodes.runtime"
    assert names["ssa_stream/__init__.py"] == "ssa_stream"
    assert names["ssa_stream/errors.py"] == "ssa_stream.errors"


# Imports every module of a part in a fresh process and prints those of the watched modules that came along.
_LOADED = """
import importlib, pkgutil, sys
name, *watched = sys.argv[1:]
for module in pkgutil.walk_packages(getattr(importlib.import_module(name), "__path__", []), name + "."):
    importlib.import_module(module.name)
print(*sorted(set(watched) & set(sys.modules)))
"""
HEAVY = ("torch", "cv2", "av", "zmq")


def _loaded(name: str, *watched: str) -> set[str]:
    command = [sys.executable, "-c", _LOADED, name, *watched]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert answer.returncode == 0, answer.stderr
    return set(answer.stdout.split())


@pytest.mark.parametrize(
    ("part", "may_load"),
    [
        ("errors", set()),
        ("protocols", set()),
        ("configs", set()),
        ("client", {"zmq"}),
        ("nodes.pipeline", set()),
        ("nodes.broker", {"zmq"}),
        ("nodes.launcher", {"zmq"}),
    ],
    ids=["errors", "protocols", "configs", "client", "nodes.pipeline", "nodes.broker", "nodes.launcher"],
)
def test_import_of_light_part_loads_no_torch(part: str, may_load: set[str]) -> None:
    """What a robot imports loads neither torch nor a codec, through whatever chain of imports."""
    assert _loaded(f"ssa_stream.{part}", *HEAVY) <= may_load


def test_loaded_module_of_a_submodule_is_seen() -> None:
    """The check above bites: it sees what any module of a part imports."""
    assert _loaded("wsgiref", "http.server", "torch") == {"http.server"}


def test_examples_import_public_names_only() -> None:
    """What users copy from does not lean on private names."""
    found = {
        str(path.relative_to(ROOT)): private_imports(path.read_text(encoding="utf-8"))
        for path in sorted((ROOT / "examples").rglob("*.py"))
    }
    assert {path: names for path, names in found.items() if names} == {}


def test_private_imports_private_name_is_caught() -> None:
    """The check on examples bites, and leaves public and dunder names alone."""
    assert private_imports("from ssa_stream.model import _attend, Ssa\nfrom ssa_stream import __version__") == [
        "1: ssa_stream.model._attend"
    ]
