"""Deformable attention: the fused operator against its reference, numbers and time."""

from collections.abc import Iterator
from functools import partial

import torch

from benchmarks.gpu_parts.setting import Row, Setting
from ssa_stream.model import use_operator
from ssa_stream.model.deformable import DeformableAttention

_STRIDES = (32, 16, 8)
_LARGEST = {torch.float32: 1e-4, torch.bfloat16: 3e-2}
"""Deviation over the root mean square that is rounding."""


@torch.inference_mode()
def rows(setting: Setting) -> Iterator[Row]:
    """One layer of each network, without its linear maps."""
    for name in setting.models:
        network = setting.network(name)
        chosen = use_operator(network, "auto" if setting.small else "fused").name
        layer = next(one for one in network.modules() if isinstance(one, DeformableAttention))
        height, width = setting.frames(name, 1)[0].shape[:2]
        sizes = [(-(-height // stride), -(-width // stride)) for stride in _STRIDES]
        tokens, samples = sum(h * w for h, w in sizes), layer.num_heads * layer.num_levels * layer.num_points
        for dtype in setting.dtypes:
            value, offsets, logits = (
                torch.randn(1, tokens, columns, device=setting.device, dtype=dtype)
                for columns in (layer.value_proj.out_features, samples * 2, samples)
            )
            work = partial(layer.mix, value, offsets * 2, logits, sizes)
            title = f"{name} {str(dtype).removeprefix('torch.')}"
            layer.fused = False
            exact = layer.mix(value.float(), offsets.float() * 2, logits.float(), sizes)
            torch_ms = setting.median_ms(partial(layer.mix, value.float(), offsets.float() * 2, logits.float(), sizes))
            layer.fused = chosen != "torch"
            fused_ms = setting.median_ms(work)
            deviation = float((work().float() - exact).square().mean().sqrt() / exact.square().mean().sqrt())
            yield Row(f"{title}: reference in float32", torch_ms, "ms")
            yield Row(f"{title}: {chosen}", fused_ms, "ms")
            yield Row(f"{title}: reference / {chosen}", torch_ms / fused_ms)
            yield Row(f"{title}: deviation", deviation, "rms")
            if not deviation < _LARGEST[dtype]:
                raise RuntimeError(f"{title}: {chosen} deviates by {deviation:.1e} of the reference's rms")
