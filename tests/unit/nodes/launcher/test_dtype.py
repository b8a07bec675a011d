"""`model.dtype: auto` of a graph becomes a type before there are nodes."""

import json
import subprocess
from typing import Any

import pytest

from ssa_stream.errors import ConfigError, SsaStreamError
from ssa_stream.model import dtype_choice
from ssa_stream.nodes.launcher.dtype import measured_dtype, with_measured_dtype
from ssa_stream.nodes.pipeline import ModelSection, PipelineConfig
from ssa_stream.nodes.runtime.weights import load_network

GRAPH = {"streams": {"cam": {"source": "synthetic", "prompts": ["a dog"]}}}


def graph(dtype: str) -> PipelineConfig:
    """A graph whose network has a type."""
    return PipelineConfig.from_mapping({**GRAPH, "model": {"dtype": dtype, "threads": 1}})


def test_auto_becomes_what_a_process_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process is given the settings of the model; the reason is said."""
    given: list[ModelSection] = []
    lines: list[str] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[bytes]:
        given.append(ModelSection(**json.loads(command[-1])))
        return subprocess.CompletedProcess(command, 0, b'{"dtype": "bfloat16", "reason": "it is faster"}', b"")

    monkeypatch.setattr(subprocess, "run", run)
    config = graph("auto")
    assert with_measured_dtype(config, lines.append).model.dtype == "bfloat16"
    assert given == [config.model]
    assert lines == ["dtype: bfloat16 (it is faster)"]
    assert with_measured_dtype(graph("float32"), lines.append) == graph("float32")
    assert len(given) == 1


def test_measuring_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what the process said last."""
    done = subprocess.CompletedProcess([], 1, b"", b"Traceback\nmodel.device is 'cuda' but\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    with pytest.raises(SsaStreamError, match=r"model\.device is 'cuda' but.*name a type: float32 or bfloat16"):
        with_measured_dtype(graph("auto"), print)


def test_nodes_get_the_measured_type_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process measures for the device and the network of the settings; a node never chooses for itself."""
    monkeypatch.setattr(dtype_choice, "_MEASURED_S", 0.0)
    found = measured_dtype(ModelSection(device="cpu", dtype="auto"))
    assert found["dtype"] in ("float32", "bfloat16")
    assert "measured here" in found["reason"]
    with pytest.raises(ConfigError, match="auto in a node"):
        load_network(ModelSection(device="cpu", dtype="auto"))
