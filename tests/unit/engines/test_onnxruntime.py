"""ONNX Runtime as an engine's library."""

import re
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from ssa_stream.engines.onnxruntime import OnnxRuntime
from ssa_stream.errors import ConfigError


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """`sum = left + right`, of any number of rows; `double = sum + sum`."""
    values = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", 2])
        for name in ("left", "right", "sum", "double")
    }
    nodes = [helper.make_node("Add", ["left", "right"], ["sum"]), helper.make_node("Add", ["sum", "sum"], ["double"])]
    made = helper.make_graph(nodes, "g", [values["left"], values["right"]], [values["sum"], values["double"]])
    path = tmp_path / "g.onnx"
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


def test_graph_takes_any_number_of_rows_and_gives_away_what_it_makes(graph: Path) -> None:
    """Results of one call stay when the next one comes: states keep them."""
    run = OnnxRuntime().load(graph, None, reduced=False, threads=1, kept=None)
    first = run([np.ones((1, 2), np.float32), np.full((1, 2), 2, np.float32)])
    second = run([np.zeros((3, 2), np.float32), np.zeros((3, 2), np.float32)])
    assert [one.tolist() for one in first] == [[[3, 3]], [[6, 6]]]
    assert [one.shape for one in second] == [(3, 2), (3, 2)]
    assert all(one.flags.writeable for one in first)


def test_provider_is_taken_by_its_name_and_refused_where_it_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was proven with one provider was not with another: the version names it."""
    here = re.escape(", ".join(onnxruntime.get_available_providers()))
    with pytest.raises(ConfigError, match=rf"has no NoExecutionProvider here, only {here}; install a build"):
        OnnxRuntime("NoExecutionProvider")
    there = ["TensorrtExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: there)
    assert OnnxRuntime("TensorrtExecutionProvider").version == f"{onnxruntime.__version__}-tensorrt"
    assert OnnxRuntime().version == onnxruntime.__version__
