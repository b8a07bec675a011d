"""The kernel for CUDA: its numbers in Triton's interpreter, its machine code without a GPU, and both on one."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ssa_stream.model.deformable.operator import deformable_attention
from ssa_stream.model.deformable.reference import deformable_attention_reference
from tests.support.components import require

pytestmark = pytest.mark.slow

_INTERPRETED = """
import torch
from ssa_stream.model.deformable.reference import deformable_attention_reference
from ssa_stream.model.deformable.triton_kernel import run
torch.manual_seed(0)
for sizes, items, heads, width, points in (
    (((3, 2), (1, 1), (5, 7)), 2, 2, 12, 2),
    (((1, 9),), 1, 3, 1, 1),
    (((4, 5), (2, 3)), 1, 1, 32, 4),
):
    tokens, samples = sum(h * w for h, w in sizes), heads * len(sizes) * points
    for dtype in (torch.float32, torch.bfloat16):
        value, offsets, logits = (
            torch.randn(items, tokens, columns).mul(scale).to(dtype)
            for columns, scale in ((heads * width, 1), (samples * 2, 4), (samples, 20))
        )
        exact = deformable_attention_reference(
            value.double(), offsets.double(), logits.double(), sizes, num_heads=heads, num_points=points
        )
        mixed = run(value, offsets, logits, sizes, heads)
        assert mixed.dtype == dtype
        tolerance = 1e-5 if dtype == torch.float32 else 8e-3
        torch.testing.assert_close(mixed.double(), exact, rtol=tolerance, atol=1e-5)
print("equal")
"""


@pytest.fixture(autouse=True)
def _triton(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Triton, which comes with torch's builds for CUDA; what it compiles is not kept."""
    require("Triton", importlib.util.find_spec("triton") is not None, "install a build of torch for CUDA")
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))


def test_kernel_equals_reference_in_the_interpreter() -> None:
    """Odd sizes, levels of one cell, points outside, tokens that fill no program, widths that are no power of two."""
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    answer = subprocess.run(
        [sys.executable, "-c", _INTERPRETED], env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert answer.stdout == "equal\n", answer.stderr


@pytest.mark.parametrize("kind", ["fp32", "bf16"])
@pytest.mark.parametrize("capability", [80, 90])
def test_kernel_compiles_for_cuda_without_a_device(kind: str, capability: int) -> None:
    """What the interpreter takes, the compiler may refuse."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from ssa_stream.model.deformable import triton_kernel

    constants = {"HEADS": 8, "WIDTH": 12, "LEVELS": 3, "POINTS": 4, "COLUMNS": 16, "TOKENS": 32}
    types = dict.fromkeys(("value", "offsets", "logits", "mixed"), f"*{kind}")
    types |= {"places": "*fp32", "levels": "*i32", "tokens": "i32", "per_item": "i32"}
    signature = {name: types.get(name, "constexpr") for name in triton_kernel._kernel.arg_names}
    source = ASTSource(triton_kernel._kernel, signature=signature, constexprs=constants)
    made = triton.compile(source, target=GPUTarget("cuda", capability, 32), options={"enable_fp_fusion": True})
    assert len(made.asm["cubin"]) < 200_000  # loops that are written out take minutes to compile


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_operator_equals_reference_on_cuda(dtype: torch.dtype) -> None:
    """At the published network's sizes."""
    sizes, heads, width, points = ((14, 25), (28, 50), (56, 100)), 8, 32, 4
    tokens, samples = sum(height * wide for height, wide in sizes), heads * len(sizes) * points
    value, offsets, logits = (
        (torch.randn(2, tokens, columns) * 3).to(dtype) for columns in (heads * width, samples * 2, samples)
    )
    exact = deformable_attention_reference(
        value.double(), offsets.double(), logits.double(), sizes, num_heads=heads, num_points=points
    )
    flat = [side for size in sizes for side in size]
    mixed = deformable_attention(value.cuda(), offsets.cuda(), logits.cuda(), flat, heads)
    tolerance = 1e-4 if dtype == torch.float32 else 8e-3
    torch.testing.assert_close(mixed.double().cpu(), exact, rtol=tolerance, atol=1e-4)
