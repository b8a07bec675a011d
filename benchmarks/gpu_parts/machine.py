"""What the figures were measured on."""

import importlib.metadata
from collections.abc import Iterator

import torch

from benchmarks.gpu_parts.setting import Row, Setting


def rows(setting: Setting) -> Iterator[Row]:
    """Names and versions."""
    if setting.is_cuda:
        properties = torch.cuda.get_device_properties(setting.device)
        yield Row("device", properties.name)
        yield Row("memory", properties.total_memory / 2**30, "GiB")
        yield Row("compute capability", f"{properties.major}.{properties.minor}")
        yield Row("CUDA", str(torch.version.cuda))
    else:
        yield Row("device", setting.device)
    for name in ("torch", "triton", "av", "onnxruntime-gpu"):
        yield Row(name, _version(name))


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not here"
