"""A stage as a program: graphs, and between them the fused operator, which no engine has.

Sampling (`GridSample`) is slow in the engines for processors. So a graph that holds the fused operator as nodes is cut
at these, and what lies between them runs in the engine.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from ssa_stream.model.deformable import ONNX_NODE

__all__ = ["GraphStep", "OperatorStep", "Program", "cut"]

_DOMAIN, _, _NODE = ONNX_NODE.partition("::")
_FILE = re.compile(r"[0-9]{1,4}\.onnx")


class GraphStep(msgspec.Struct, frozen=True, tag="graph"):
    """Run a graph.

    Attributes:
        file: Its name in the program's folder.
        inputs: Names of values, in the graph's order.
        outputs: Names of values, in the graph's order.
    Raises:
        ValueError: The file is none of that folder.
    """

    file: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def __post_init__(self) -> None:
        if _FILE.fullmatch(self.file) is None:
            raise ValueError(f"the graph's file is {self.file!r}; expected a name such as 0.onnx")


class OperatorStep(msgspec.Struct, frozen=True, tag="operator"):
    """Run the fused deformable attention; see `ssa_stream.model.deformable.operator`.

    Attributes:
        inputs: Names of values, offsets and logits.
        output: Name of the result.
        sizes: Height and width of each level, one after the other.
        num_heads: Heads.
    """

    inputs: tuple[str, str, str]
    output: str
    sizes: tuple[int, ...]
    num_heads: int


class Program(msgspec.Struct, frozen=True):
    """What makes a stage's outputs of its inputs.

    Attributes:
        inputs: Names of values, in the stage's order.
        outputs: Names of values, in the stage's order.
        steps: In order.
    Raises:
        ValueError: A value is read that nothing before makes.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    steps: tuple[GraphStep | OperatorStep, ...]

    def __post_init__(self) -> None:
        made = set(self.inputs)
        for step in self.steps:
            _check_made(step.inputs, made)
            made.update([step.output] if isinstance(step, OperatorStep) else step.outputs)
        _check_made(self.outputs, made)

    @property
    def files(self) -> set[str]:
        """Names of the graphs' files."""
        return {step.file for step in self.steps if isinstance(step, GraphStep)}

    def last_uses(self) -> list[set[str]]:
        """For each step, which values nothing after it needs."""
        wanted, dropped = set(self.outputs), list[set[str]]()
        for step in reversed(self.steps):
            dropped.append(set(step.inputs) - wanted)
            wanted |= set(step.inputs)
        return dropped[::-1]


def _check_made(names: Sequence[str], made: set[str]) -> None:
    if missing := [name for name in names if name not in made]:
        raise ValueError(f"nothing makes the value {missing[0]!r}")


@dataclass(slots=True)
class _Places:
    """In which part of a graph each value is made; values that are made of shapes and weights alone have no part."""

    of_values: dict[str, int]
    anywhere: set[str]


def cut(model: Any) -> tuple[Program, dict[str, Any]]:
    """Cut a graph at its operator nodes.

    Args:
        model: An `onnx.ModelProto`; it is used up.
    Returns:
        The program, and its graphs by file name.
    """
    from onnx import shape_inference

    model = shape_inference.infer_shapes(model)  # the exporter does not say of every value what it is
    graph = model.graph
    names = tuple(value.name for value in graph.input)
    outputs = tuple(value.name for value in graph.output)
    places = _places(graph)
    makers = {name: node for node in graph.node for name in node.output if name}
    operators = [node for node in graph.node if node.domain == _DOMAIN and node.op_type == _NODE]
    members = [[node for node in graph.node if _part(node, places) == part] for part in range(len(operators) + 1)]
    steps: list[GraphStep | OperatorStep] = []
    files: dict[str, Any] = {}
    for part, nodes in enumerate(members):
        needed = [*_shared(nodes, makers, places), *nodes]
        made = {name for node in needed for name in node.output}
        taken = dict.fromkeys(name for node in needed for name in _read(node) if name not in made)
        weights = {tensor.name for tensor in graph.initializer}
        inputs = tuple(name for name in taken if name not in weights)
        wanted = _wanted_after(part, members, operators, outputs)
        given = tuple(name for node in nodes for name in node.output if name in wanted)
        file = f"{part}.onnx"
        files[file] = _piece(model, needed, inputs, given, taken)
        steps.append(GraphStep(file, inputs, given))
        if part < len(operators):
            steps.append(_operator(operators[part]))
    return Program(names, outputs, tuple(steps)), files


def _read(node: Any) -> list[str]:
    """Names of the values that a node reads, those of its inner graphs (`If`, `Loop`) among them."""
    names = [name for name in node.input if name]
    for attribute in node.attribute:
        for inner in [attribute.g] if attribute.HasField("g") else list(attribute.graphs):
            own = {name for one in inner.node for name in one.output} | {value.name for value in inner.input}
            names += [name for one in inner.node for name in _read(one) if name not in own]
    return names


def _places(graph: Any) -> _Places:
    """Parts of all values; nodes come in order."""
    inputs = {value.name for value in graph.input}
    places = _Places(dict.fromkeys(inputs, 0), {tensor.name for tensor in graph.initializer})
    for node in graph.node:
        read = _read(node)
        is_shape = node.op_type == "Shape" and not node.domain and set(read) <= inputs
        if is_shape or all(name in places.anywhere for name in read):
            places.anywhere |= set(node.output)
            continue
        part = max(places.of_values[name] for name in read if name not in places.anywhere)
        is_operator = node.domain == _DOMAIN and node.op_type == _NODE
        places.of_values |= dict.fromkeys(node.output, part + is_operator)
    return places


def _part(node: Any, places: _Places) -> int | None:
    """The part that a node belongs to; None for operators, and for what every part makes for itself."""
    if node.domain == _DOMAIN and node.op_type == _NODE:
        return None
    return places.of_values.get(node.output[0])


def _shared(nodes: Sequence[Any], makers: dict[str, Any], places: _Places) -> Iterator[Any]:
    """What is made of shapes and weights alone for these nodes, in order."""
    seen: set[str] = set()

    def visit(name: str) -> Iterator[Any]:
        maker = makers.get(name)
        if name in seen or maker is None or name not in places.anywhere:
            return
        for read in _read(maker):
            yield from visit(read)
        if maker.output[0] not in seen:
            seen.update(maker.output)
            yield maker

    for node in nodes:
        for name in _read(node):
            yield from visit(name)


def _wanted_after(part: int, members: list[list[Any]], operators: list[Any], outputs: tuple[str, ...]) -> set[str]:
    """Values that something after a part reads."""
    later = [node for nodes in members[part + 1 :] for node in nodes]
    return set(outputs).union(*(_read(node) for node in [*later, *operators[part:]]))


def _piece(model: Any, nodes: list[Any], inputs: tuple[str, ...], outputs: tuple[str, ...], taken: Any) -> Any:
    """A model of some of the nodes."""
    from onnx import helper

    graph = model.graph
    known = {value.name: value for value in [*graph.input, *graph.output, *graph.value_info]}
    weights = [tensor for tensor in graph.initializer if tensor.name in taken]
    piece = helper.make_graph(
        nodes, "stage", [known[name] for name in inputs], [known[name] for name in outputs], weights
    )
    opsets = [one for one in model.opset_import if one.domain != _DOMAIN]
    made = helper.make_model(piece, opset_imports=opsets, ir_version=model.ir_version)
    made.functions.extend(model.functions)
    return made


def _operator(node: Any) -> OperatorStep:
    from onnx import helper

    settings = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    value, offsets, logits = node.input
    return OperatorStep(
        (value, offsets, logits), node.output[0], tuple(int(side) for side in settings["sizes"]), settings["num_heads"]
    )
