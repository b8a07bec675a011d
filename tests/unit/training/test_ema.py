"""The running mean of weights: what it holds, that it can be put in and taken out, and that runs use it."""

from pathlib import Path
from typing import Any

import pytest
import torch

from ssa_stream.checkpoints import load_checkpoint
from ssa_stream.model import SSA
from ssa_stream.training import TrainConfig, train
from ssa_stream.training.loop.ema import Ema


def _shift(model: SSA, by: float) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(by)


def test_mean_is_that_of_all_steps_and_weights_come_back(model: SSA) -> None:
    """Each step's mean weighs 0.75 in the next; a network of its own is not changed by looking at it."""
    first = model.video_decoder.norm.bias.detach().clone()
    mean = Ema(model, 0.75)
    for _ in range(2):
        _shift(model, 1.0)
        mean.update()
    with mean.applied():
        within = model.video_decoder.norm.bias.detach().clone()
    torch.testing.assert_close(within, first + 0.75 * 0.25 + 2 * 0.25)
    torch.testing.assert_close(model.video_decoder.norm.bias.detach(), first + 2)
    mean.keep()
    torch.testing.assert_close(model.video_decoder.norm.bias.detach(), within)


def test_without_a_decay_weights_are_their_own_mean(model: SSA) -> None:
    """And nothing has to be saved."""
    mean = Ema(model, 0.0)
    _shift(model, 1.0)
    own = model.video_decoder.norm.bias.detach().clone()
    mean.update()
    with mean.applied():
        assert torch.equal(model.video_decoder.norm.bias, own)
    mean.keep()
    assert torch.equal(model.video_decoder.norm.bias, own)
    assert mean.state_dict() == {}


class _Watching:
    def __init__(self, stop_after: int | None = None) -> None:
        self._left = stop_after

    def on_step(self, *_: Any) -> None:
        self._left = None if self._left is None else self._left - 1

    def on_validation(self, *_: Any, **__: Any) -> None: ...

    def on_broken(self, *_: Any) -> None: ...

    def should_stop(self) -> bool:
        return self._left == 0


def _run(settings: dict[str, Any], folder: Path, stop_after: int | None = None) -> dict[str, torch.Tensor]:
    watching = _Watching(stop_after)
    config = TrainConfig.from_mapping(settings)
    train(config, folder, observer=watching, should_stop=watching.should_stop, accelerator="cpu", resume=True)
    return load_checkpoint(folder / "last.safetensors").state_dict()


@pytest.mark.slow
@pytest.mark.parametrize("stop_after", [2, 5])
def test_a_run_with_a_mean_is_resumed_exactly(settings: dict[str, Any], tmp_path: Path, stop_after: int) -> None:
    """Mean and weights both go on; what is left at the end is the mean, which lags behind the weights."""
    del settings["stages"][0], settings["stages"][1:3]  # images, and clips with heads
    settings["ema_decay"] = 0.6
    whole = _run(settings, tmp_path / "whole")
    _run(settings, tmp_path / "stopped", stop_after)
    resumed = _run(settings, tmp_path / "stopped")
    assert [name for name in whole if not torch.equal(whole[name], resumed[name])] == []
    plain = _run(settings | {"ema_decay": 0.0}, tmp_path / "plain")
    assert any(not torch.equal(whole[name], plain[name]) for name in whole)


def test_a_mean_that_never_moves_is_refused(settings: dict[str, Any]) -> None:
    """With the range."""
    with pytest.raises(Exception, match=r"< 1\.0 - at `\$\.ema_decay`"):
        TrainConfig.from_mapping(settings | {"ema_decay": 1.0})
