"""One way to a network that is ready to run."""

import pytest
import torch

from ssa_stream.checkpoints import DEFAULT_CHECKPOINT, choose_device, load_checkpoint, open_network
from ssa_stream.errors import ConfigError
from ssa_stream.model import fold_weights


def test_random_weights_are_the_same_in_every_process() -> None:
    """Whoever draws numbers beside it draws what he would have drawn."""
    before = torch.get_rng_state()
    first, second = (open_network(random_weights="ssa-tiny", device="cpu").state_dict() for _ in range(2))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert torch.equal(torch.get_rng_state(), before)


def test_nothing_named_is_the_shipped_checkpoint() -> None:
    """Masks that mean nothing are not made by mistake."""
    shipped, opened = fold_weights(load_checkpoint(DEFAULT_CHECKPOINT)).state_dict(), open_network().state_dict()
    assert opened.keys() == shipped.keys()
    assert all(torch.equal(opened[key], shipped[key]) for key in shipped)


def test_type_is_that_which_was_asked_for() -> None:
    """All but the pixel decoder; another one than the network runs in is refused."""
    network = open_network(random_weights="ssa-tiny", dtype=torch.bfloat16)
    assert network.dtype == torch.bfloat16
    assert not network.training
    with pytest.raises(ConfigError, match=r"does not run in torch\.float16"):
        open_network(random_weights="ssa-tiny", dtype=torch.float16)


@pytest.mark.parametrize(("has_cuda", "chosen"), [(False, "cpu"), (True, "cuda")], ids=["cpu", "cuda"])
def test_auto_takes_the_gpu_if_there_is_one(has_cuda: bool, chosen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is named stays."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_cuda)
    assert choose_device("auto") == chosen
    assert choose_device("cpu") == "cpu"


def test_device_that_is_not_there_is_refused_in_the_callers_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """No silent change of the device."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="--device is 'cuda:1' but this machine offers: cpu; choose"):
        choose_device("cuda:1", "--device")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("cuda:1") == "cuda:1"
    with pytest.raises(ConfigError, match="device is 'mps' but this machine offers: cpu, cuda; choose"):
        choose_device("mps")
