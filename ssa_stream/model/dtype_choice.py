"""Whether a network runs faster in bfloat16 on this machine: measured, because names of processors do not tell.

A processor with AMX or AVX512-BF16 multiplies bfloat16 two to sixteen times as fast as float32, one without them
slower; and a small network gains nothing, since operations on twenty queries take longer in bfloat16. So a block of the
trunk, a feed-forward layer of the pixel decoder and a layer of the frame decoder run in both types in turns, at the
widths of the network, for a second; they count as often as the network has them.
"""

import copy
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor, nn

from ssa_stream.model.clip import build_clip, trunk_channels, trunk_stages
from ssa_stream.model.config import SsaConfig
from ssa_stream.model.frame_decoder import FrameDecoderLayer
from ssa_stream.model.layers import FeedForward

__all__ = ["DtypeChoice", "choose_dtype", "times_in_turns"]

_WORTH: Final = 1.15
"""How much faster bfloat16 has to be, for what its rounding costs."""
_MEASURED_S, _PROBED_S = 1.0, 0.05
_HOPELESS: Final = 0.1
"""Of the probe: bfloat16 is done by software."""
_PROBE_TOKENS, _MOST_TOKENS = 32, 1024
_TYPES: Final = (torch.float32, torch.bfloat16)

Work = Callable[[], object]


class DtypeChoice(NamedTuple):
    """Which type a network should run in.

    Attributes:
        dtype: float32 or bfloat16.
        ratio: Time in float32 over time in bfloat16.
    """

    dtype: torch.dtype
    ratio: float

    @property
    def name(self) -> str:
        """`float32` or `bfloat16`."""
        return str(self.dtype).removeprefix("torch.")

    @property
    def reason(self) -> str:
        """Why it is that, for people."""
        return f"measured here: bfloat16 is {self.ratio:.2f} times as fast; {_WORTH} are needed"


@torch.inference_mode()
def choose_dtype(config: SsaConfig, device: torch.device) -> DtypeChoice:
    """Measure for about a second. Where bfloat16 is done by software, the first, small work ends it.

    Args:
        config: Sizes of the network.
        device: Where it will run; on a processor with as many threads as torch is set to.
    """
    pieces = _pieces(config, device)
    height = config.short_edge_px // 16
    tokens = max(_PROBE_TOKENS, min(height * (height * 16 // 9), _MOST_TOKENS))  # of stride 16
    ratio = 0.0
    for count, duration_s in ((_PROBE_TOKENS, _PROBED_S), (tokens, _MEASURED_S)):
        works = [piece.work(dtype, count, device) for dtype in _TYPES for piece in pieces]
        medians = [statistics.median(taken) for taken in times_in_turns(works, duration_s)]
        full, half = (
            sum(one * piece.times for one, piece in zip(part, pieces, strict=True))
            for part in (medians[: len(pieces)], medians[len(pieces) :])
        )
        ratio = full / half
        if ratio < _HOPELESS:
            break
    return DtypeChoice(torch.bfloat16 if ratio >= _WORTH else torch.float32, ratio)


def times_in_turns(
    works: Sequence[Work], duration_s: float, clock: Callable[[], float] = time.perf_counter
) -> list[list[float]]:
    """Times of pieces of work that are done in turns, so that other load hits all alike.

    Args:
        works: The pieces; each is done once before it is measured.
        duration_s: No new round begins after that; one is always measured.
        clock: Seconds.
    Returns:
        For each piece its times, as many for all.
    """
    for work in works:
        work()
    times: list[list[float]] = [[] for _ in works]
    end_s = clock() + duration_s
    while not times[0] or clock() < end_s:
        for work, taken in zip(works, times, strict=True):
            begin_s = clock()
            work()
            taken.append(clock() - begin_s)
    return times


class _Piece(NamedTuple):
    """A part of the network.

    Attributes:
        module: On the meta device.
        inputs: Shapes of its inputs for a number of tokens.
        times: How often the network has it.
    """

    module: nn.Module
    inputs: Callable[[int], Sequence[tuple[int, ...]]]
    times: int

    def work(self, dtype: torch.dtype, tokens: int, device: torch.device) -> Work:
        """The part in a type, at work on drawn numbers."""
        module = copy.deepcopy(self.module).to(dtype).to_empty(device=device)
        for parameter in module.parameters():
            nn.init.constant_(parameter, 0.01)  # memory that nobody wrote may hold numbers that are slow
        tensors = [torch.rand(shape, device=device, dtype=dtype) for shape in self.inputs(tokens)]

        def work() -> None:
            module(*tensors)
            if device.type == "cuda":
                torch.cuda.synchronize(device)

        return work


def _pieces(config: SsaConfig, device: torch.device) -> tuple[_Piece, ...]:
    """A block of the trunk's third stage, which has most of them, and a layer of each half of query generation."""
    C, N, pixel, frame = config.hidden_dim, config.num_queries, config.pixel_decoder, config.frame_decoder
    with torch.device("meta"):
        clip = build_clip(config.clip)
        stage: Any = trunk_stages(clip)[1][2]
        feed_forward, layer = FeedForward(C, pixel.ffn_dim), _QueryLayer(C, frame.num_heads, frame.ffn_dim)
    width = trunk_channels(clip)[2]
    return (
        _Piece(stage.blocks[-1], lambda tokens: [(1, width, tokens // 16, 16)], len(stage.blocks)),
        _Piece(feed_forward, lambda tokens: [(4 * tokens, C)], pixel.num_layers),
        _Piece(layer, lambda tokens: [(1, N, C), (1, tokens, C), (1, C), (N, C)], frame.num_layers),
    )


class _QueryLayer(FrameDecoderLayer):
    """A layer of the frame decoder that blocks nothing."""

    def forward(self, x: Tensor, memory: Tensor, text: Tensor, position: Tensor) -> Tensor:  # type: ignore[override]
        blocked = torch.zeros(1, x.shape[1], memory.shape[1], dtype=torch.bool, device=x.device)
        return super().forward(x, memory, memory, text, position, blocked)
