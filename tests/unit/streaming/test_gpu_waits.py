"""How often a frame waits for its device, and that what is computed without waiting is the same.

Tensors of the device "meta" hold no numbers: every question about one fails, and so does copying one to the processor.
A session on it shows that nothing but `to_host` waits for the device; what that gives is drawn here.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from ssa_stream.model import MaskSizes, align_chain
from ssa_stream.model.alignment import _orders, _orders_of_device, align_chains
from ssa_stream.streaming import ReferSession, SessionConfig
from ssa_stream.streaming.config import TrackConfig
from ssa_stream.streaming.emission import FrameEvidence, find_masks
from ssa_stream.streaming.gpu_masks import find_masks_together
from tests.support.tiny_model import one_model_thread, random_frames, tiny_model

PROMPTS = ["a dog", "the red car", "the man on the left"]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for each other cost more than they save here."""
    with one_model_thread():
        yield


class Transfers:
    """In the place of the transfers of a GPU.

    Attributes:
        waits: How often the processor waited for the device.
    """

    def __init__(self) -> None:
        self.waits = 0
        self._is_pinned = False

    def to_host(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Drawn numbers of the right shapes."""
        self.waits += 1
        return [_drawn(tensor) for tensor in tensors]

    def to_device(self, tensor: Tensor, device: torch.device | str) -> Tensor:
        """Copy without waiting."""
        self._is_pinned = True
        try:
            return tensor.to(device)
        finally:
            self._is_pinned = False

    @contextmanager
    def copies(self) -> Iterator[list[str]]:
        """Copies to the device that do not go through `to_device`: from memory that is not pinned, these wait."""
        found, is_pinned = list[str](), self.is_pinned

        class Watch(TorchFunctionMode):
            """Lists them."""

            def __torch_function__(
                self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
            ) -> Any:
                """See one call."""
                made = func(*args, **(kwargs or {}))
                is_copy = func in (torch.tensor, torch.as_tensor, Tensor.new_tensor) or any(
                    isinstance(arg, Tensor) and arg.device.type == "cpu" and arg.dim() for arg in args
                )
                if is_copy and isinstance(made, Tensor) and made.is_meta and not is_pinned():
                    found.append(str(func))
                return made

        with Watch():
            yield found

    def is_pinned(self) -> bool:
        """Whether `to_device` is copying."""
        return self._is_pinned


def _drawn(tensor: Tensor) -> Tensor:
    if tensor.dtype is torch.bool:
        return torch.rand(tensor.shape) < 0.5
    if tensor.dtype.is_floating_point:
        return torch.rand(tensor.shape).to(tensor.dtype)
    return torch.arange(tensor.numel()).view(tensor.shape)  # slots, and how many are selected: 0


@pytest.mark.parametrize(
    ("prompts", "lookahead"), [(PROMPTS, 0), (PROMPTS[:1], 2)], ids=["three prompts at once", "one prompt, lookahead"]
)
def test_push_waits_for_a_device_twice(monkeypatch: pytest.MonkeyPatch, prompts: list[str], lookahead: int) -> None:
    """Once for the similarities of all prompts, once for all their masks; also while windows fill."""
    transfers = Transfers()
    for module in ("model.alignment", "streaming.gpu_masks"):
        monkeypatch.setattr(f"ssa_stream.{module}.to_host", transfers.to_host)
    for module in ("model.alignment", "model.transfers", "streaming.encoding", "streaming.gpu_masks"):
        monkeypatch.setattr(f"ssa_stream.{module}.to_device", transfers.to_device)
    monkeypatch.setattr(torch, "autocast", lambda *args, **settings: nullcontext())  # it knows no device "meta"
    model = copy.deepcopy(tiny_model()).to("meta")
    session = ReferSession(model, SessionConfig(window=4, lookahead=lookahead), prompts)
    frames = random_frames(9)
    waits = []
    for frame in frames[:6]:
        before = transfers.waits
        session.push(frame)
        waits.append(transfers.waits - before)
    assert waits == [0, 1, 2, 2, 2, 2] if lookahead else [1, 2, 2, 2, 2, 2]  # the first has nothing to be matched with
    with transfers.copies() as copies:
        for frame in frames[6:]:
            assert len(session.push(frame)) == len(prompts)
    assert copies == []
    assert transfers.waits - sum(waits) == 3 * 2


@pytest.mark.parametrize("mode", ["multi", "single"])
@pytest.mark.parametrize("min_share", [0.7, 0.0])
@torch.inference_mode()
def test_masks_made_together_are_those_made_one_by_one(mode: Any, min_share: float) -> None:
    """Same slots, scores and masks, for every number of selected queries, from none to more than there is room for."""
    torch.manual_seed(5)
    N, C, sizes = 14, 8, MaskSizes((64, 96), (60, 90), (75, 113))
    config = SessionConfig(mode=mode, tracks=TrackConfig(min_own_share=min_share))
    evidence = [
        FrameEvidence(
            (torch.rand(N) * 0.9).where(torch.arange(N) >= selected, 0.5 + 0.4 * torch.rand(N)) * (selected > 0),
            torch.randn(N, C).repeat_interleave(2, dim=0)[:N] + 0.3 * torch.randn(N, C),
            torch.randn(N, C),
            torch.nn.functional.interpolate(torch.randn(1, C, 4, 6), (16, 24), mode="bicubic")[0],
        )
        for selected in (0, 1, 3, 9, N)
    ]
    followed = [{1, 3}, set[int](), {2}, {0, 5, 7}, set[int]()]
    expected = [
        find_masks(tiny_model(), one, sizes, slots, config) for one, slots in zip(evidence, followed, strict=True)
    ]
    found = find_masks_together(tiny_model(), evidence, sizes, followed, config)
    assert [one.slots for one in found] == [one.slots for one in expected]
    assert max(len(one.slots) for one in found) > (1 if mode == "multi" else 0)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.scores, other.scores, rtol=1e-5)
        np.testing.assert_array_equal(one.masks, other.masks)
        assert one.probability == other.probability


def test_chains_aligned_together_are_those_aligned_one_by_one() -> None:
    """Similarities of all pairs at once give the permutations that step after step gives."""
    torch.manual_seed(2)
    objects = torch.randn(5, 12)
    chains = [
        torch.stack([objects[torch.randperm(5)] + 0.4 * torch.randn(5, 12) for _ in range(T)]) for T in (1, 4, 1, 2)
    ]
    previous = [objects, None, None, objects[torch.randperm(5)]]
    expected = _orders(chains, previous)
    assert [order.tolist() for order in _orders_of_device(chains, previous)] == [order.tolist() for order in expected]
    for (aligned, order), chain, before in zip(align_chains(chains, previous), chains, previous, strict=True):
        alone = align_chain(chain[None], None if before is None else before[None])
        torch.testing.assert_close((aligned[None], order[None]), alone, rtol=0, atol=0)
    assert _orders_of_device(chains[2:3], [None])[0].tolist() == [[0, 1, 2, 3, 4]]  # nothing to match, nothing asked
