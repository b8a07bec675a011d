"""A graph is cut at its operator nodes, and the parts make the same numbers."""

from typing import Any

import numpy as np
from onnx import TensorProto, helper  # after the check that it is there
from onnx.reference import ReferenceEvaluator

from ssa_stream.engines.program import GraphStep, OperatorStep, cut


def _operator(name: str, inputs: tuple[str, str, str]) -> Any:
    return helper.make_node("DeformableAttention", inputs, [name], domain="ssa_stream", sizes=[1, 2], num_heads=1)


def _model() -> Any:
    """`b = a + 1` ; `c = op(a, b, b)`; `d = op(c, b, c * w)`; `y = d + b + size of x`, and `z` of the first part."""
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "zero"], ["rows"]),
        helper.make_node("Cast", ["rows"], ["rows_float"], to=TensorProto.FLOAT),
        helper.make_node("Neg", ["x"], ["a"]),
        helper.make_node("Add", ["a", "one"], ["b"]),
        helper.make_node("Identity", ["b"], ["z"]),
        _operator("c", ("a", "b", "b")),
        helper.make_node("Mul", ["c", "weight"], ["scaled"]),
        _operator("d", ("c", "b", "scaled")),
        helper.make_node("Add", ["d", "b"], ["sum"]),
        helper.make_node("Add", ["sum", "rows_float"], ["y"]),
    ]
    kind = TensorProto.FLOAT
    values = [helper.make_tensor_value_info(name, kind, ["n", 2]) for name in ("a", "b", "c", "d", "scaled")]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", kind, ["n", 2])],
        [helper.make_tensor_value_info(name, kind, ["n", 2]) for name in ("y", "z")],
        [
            helper.make_tensor("zero", TensorProto.INT64, [], [0]),
            helper.make_tensor("one", kind, [1], [1.0]),
            helper.make_tensor("weight", kind, [1], [3.0]),
        ],
        value_info=values,
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("ssa_stream", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def test_parts_make_the_same_numbers() -> None:
    """Values that cross a cut are passed on; what is made of shapes and weights is made in each part."""
    program, graphs = cut(_model())
    assert [type(step) for step in program.steps] == [GraphStep, OperatorStep, GraphStep, OperatorStep, GraphStep]
    x = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], np.float32)
    values: dict[str, Any] = {"x": x}
    for step, dropped in zip(program.steps, program.last_uses(), strict=True):
        taken = [values[name] for name in step.inputs]
        if isinstance(step, GraphStep):
            made: Any = ReferenceEvaluator(graphs[step.file]).run(None, dict(zip(step.inputs, taken, strict=True)))
            values |= zip(step.outputs, made, strict=True)
        else:
            assert (step.sizes, step.num_heads) == ((1, 2), 1)
            values[step.output] = taken[0] + 2 * taken[1] + 5 * taken[2]
        for name in dropped:
            del values[name]
    a = -x
    b = a + 1
    c = a + 7 * b
    np.testing.assert_allclose(values["y"], (c + 2 * b + 15 * c) + b + 3)
    np.testing.assert_allclose(values["z"], b)
    assert set(values) == {"y", "z"}
