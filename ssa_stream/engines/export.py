"""Stages written down as ONNX: one graph, or several with the fused operator between them."""

import contextlib
import gc
import io
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch.export import Dim

from ssa_stream.engines.graphs import StageGraph
from ssa_stream.model.deformable import keeping_operator

__all__ = ["OPSET", "export_stage"]

OPSET = 20
_LONGEST = 4096
"""Rows, frames, or frames of a window."""


def export_stage(graph: StageGraph, *, keeps_operator: bool) -> Any:
    """Write a stage down.

    Args:
        graph: Which.
        keeps_operator: Whether deformable attention stays one node, `ONNX_NODE`, which no other
            program knows; else it is written down in standard operators, by its reference.
    Returns:
        The `onnx.ModelProto`.
    Raises:
        Exception: torch cannot write it down; the exporter has many errors of its own.
    """
    axes = {name: Dim(name, min=1, max=_LONGEST) for name in ("rows", "frames", "time")}
    free = tuple({axis: axes[name] for axis, name in one.items()} for one in graph.free)
    with _quiet(), _uncollected(), torch.no_grad(), keeping_operator() if keeps_operator else contextlib.nullcontext():
        program = torch.export.export(graph.module, graph.example, dynamic_shapes=free, strict=False)
        written = torch.onnx.export(
            program,
            dynamo=True,
            opset_version=OPSET,
            optimize=False,  # takes long, and every engine does it better
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            verbose=False,
        )
    assert written is not None
    return written.model_proto


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Without the garbage collector, which takes a fifth of the time: the exporter makes millions of small objects."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
        gc.collect()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter talks of its own inner life, to whoever listens."""
    loggers = [
        logging.getLogger(name)
        for name in ("torch", "torch.onnx", "torch.export", "torch.__trace", "onnxscript", "onnx_ir")
    ]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
