"""Which operator a network gets, and when the reference computes nevertheless."""

import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from ssa_stream.errors import ConfigError
from ssa_stream.model import build_operator, use_operator
from ssa_stream.model.deformable import DeformableAttention, attention, choice, kernels
from ssa_stream.model.deformable.kernels import LoadedKernel

SIZES = [(2, 3), (3, 4)]
TOKENS = 18


class Reached(Exception):
    """The fused operator was called."""


def reached(*_: object) -> Tensor:
    """In place of the fused operator."""
    raise Reached


@pytest.fixture
def network() -> nn.Module:
    """Two layers in a network, whose offsets and weights depend on the query."""
    layers = nn.Sequential(DeformableAttention(16, 2, 2, 3), nn.Sequential(DeformableAttention(16, 2, 2, 3)))
    for parameter in layers.parameters():
        nn.init.normal_(parameter, std=0.5)
    return layers


@pytest.fixture
def has_kernel(monkeypatch: pytest.MonkeyPatch) -> Callable[[LoadedKernel], None]:
    """Let the installation have a kernel for processors, or none."""

    def have(kernel: LoadedKernel) -> None:
        monkeypatch.setattr(choice, "processor_kernel", lambda: kernel)
        monkeypatch.setattr("ssa_stream.model.deformable.operator.processor_kernel", lambda: kernel)

    return have


def tokens() -> tuple[Tensor, Tensor]:
    """Queries and values of one item."""
    return torch.randn(1, TOKENS, 16), torch.randn(1, TOKENS, 16)


def are_fused(network: nn.Module) -> set[bool]:
    """Whether layers use the fused operator."""
    return {layer.fused for layer in network.modules() if isinstance(layer, DeformableAttention)}


def test_new_network_uses_the_reference(network: nn.Module) -> None:
    """Training has it always; who loads a network for a stream chooses."""
    assert are_fused(network) == {False}


@pytest.mark.parametrize("operator", ["auto", "fused"])
def test_use_operator_takes_the_kernel(network: nn.Module, operator: choice.Operator) -> None:
    """In all layers; results differ from the reference's by rounding."""
    query, value = tokens()
    with torch.no_grad():
        expected = network[0](query, value, SIZES)  # type: ignore[index]  # a layer of a sequence
        assert use_operator(network, operator).name == "numba"
        assert are_fused(network) == {True}
        mixed = network[0](query, value, SIZES)  # type: ignore[index]  # a layer of a sequence
    torch.testing.assert_close(mixed, expected, rtol=1e-5, atol=1e-5)
    assert build_operator().name == "numba"


def test_use_operator_torch_loads_no_kernel(network: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numba and its compiler take half a second to import."""
    monkeypatch.setattr(choice, "processor_kernel", reached)
    use_operator(network, "torch")
    assert are_fused(network) == {False}
    assert use_operator(nn.Linear(2, 2)).name == "torch"


def test_use_operator_other_name_is_refused(network: nn.Module) -> None:
    """Names are few."""
    with pytest.raises(ConfigError, match="operator is 'numba'; expected one of auto, fused, torch"):
        use_operator(network, "numba")  # type: ignore[arg-type]  # not one of them


@pytest.mark.parametrize(
    ("kernel", "reason"),
    [
        (LoadedKernel(None, "torch", "numba is not installed"), "numba is not installed"),
        (LoadedKernel(lambda value, *_: value * 2, "numba", ""), "numba gives other numbers here"),
        (LoadedKernel(lambda value, *_: value * float("nan"), "numba", ""), "numba gives other numbers here"),
        (LoadedKernel(reached, "numba", ""), "numba does not work here (Reached: )"),
    ],
    ids=["none", "wrong", "no numbers", "fails"],
)
def test_use_operator_kernel_that_is_no_good_leaves_the_reference(
    network: nn.Module, has_kernel: Callable[[LoadedKernel], None], kernel: LoadedKernel, reason: str
) -> None:
    """With the reason; who asked for a kernel by name gets an error."""
    has_kernel(kernel)
    chosen = use_operator(network)
    assert (chosen.name, are_fused(network)) == ("torch", {False})
    assert chosen.reason.startswith(reason)
    with pytest.raises(ConfigError, match="operator is 'fused', but numba"):
        use_operator(network, "fused")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ModuleNotFoundError("No module named 'numba'", name="numba"), "numba is not installed"),
        (ImportError("Numba needs NumPy 2.4 or less"), "numba does not work here (ImportError: Numba needs NumPy"),
    ],
)
def test_kernel_that_cannot_be_imported_says_why(
    monkeypatch: pytest.MonkeyPatch, error: ImportError, reason: str
) -> None:
    """A package that is not there, or that does not fit the others."""

    def refuse(name: str) -> None:
        raise error

    monkeypatch.setattr("importlib.import_module", refuse)
    loaded = kernels.processor_kernel.__wrapped__()
    assert loaded.run is None
    assert loaded.reason.startswith(reason)


def test_fused_layer_takes_the_reference_where_gradients_are_asked_for(
    network: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training is the same bit for bit, whatever was chosen."""
    layer = network[0]  # type: ignore[index]  # of a sequence
    query, value = tokens()
    before = torch.autograd.grad(layer(query, value, SIZES).sum(), list(layer.parameters()))
    monkeypatch.setattr(attention, "deformable_attention", reached)
    use_operator(network)
    after = torch.autograd.grad(layer(query, value, SIZES).sum(), list(layer.parameters()))
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    with torch.no_grad(), pytest.raises(Reached):
        layer(query, value, SIZES)
    with pytest.raises(Reached):
        layer.requires_grad_(False)(query, value, SIZES)


class Layer(nn.Module):
    """A layer on maps of one size, as exports want it."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, query: Tensor, value: Tensor) -> Tensor:
        """See `DeformableAttention`."""
        out: Tensor = self.layer(query, value, SIZES)
        return out


@pytest.mark.filterwarnings("ignore:.torch.jit.trace")  # deprecated; other tools call it still
@pytest.mark.parametrize("way", ["trace", "export"])
def test_fused_layer_is_exported_as_the_reference(network: nn.Module, way: str) -> None:
    """Other engines do not know the operator."""
    use_operator(network)
    layer = Layer(network[0]).eval()  # type: ignore[index]  # of a sequence
    with torch.no_grad():
        graph = (
            torch.jit.trace(layer, tokens(), check_trace=False).inlined_graph
            if way == "trace"
            else torch.export.export(layer, tokens()).graph
        )
    assert "grid_sampler" in str(graph)
    assert re.search(r"ssa_stream(::|\.)deformable_attention", str(graph)) is None
