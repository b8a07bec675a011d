"""The network gives the reference's numbers, stage by stage; and the check that says so would notice if it did not."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ssa_stream.checkpoints import verify_folder
from ssa_stream.checkpoints.golden import build_golden, verify_case
from ssa_stream.checkpoints.golden_compare import Verdict
from ssa_stream.checkpoints.golden_folder import GoldenFolder, read_case, read_folder
from ssa_stream.checkpoints.golden_report import CaseReport
from ssa_stream.checkpoints.layout import build_model
from ssa_stream.checkpoints.reference import reference_layout
from ssa_stream.checkpoints.reference_keys import CRITERION_KEYS
from ssa_stream.checkpoints.seeded import seeded_array
from ssa_stream.configs import load_config
from ssa_stream.model import SSA, SsaConfig, fold_weights, use_operator

GOLDEN = Path(__file__).parent / "golden"
SMALL = GOLDEN / "small"
CASES = sorted(path.stem for path in SMALL.glob("*.npz"))
WEIGHTS = json.loads((GOLDEN / "weights_check.json").read_text())
FULL = json.loads((GOLDEN / "full_keys.json").read_text())
LAYOUTS: dict[str, list[tuple[str, list[int]]]] = {
    "small": json.loads((SMALL / "keys.json").read_text()),
    "full": FULL["keys"],
}
GPU = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")]


@pytest.fixture(scope="module")
def folder() -> GoldenFolder:
    """The description of the small network."""
    return read_folder(SMALL)


@pytest.fixture(scope="module")
def model(folder: GoldenFolder) -> SSA:
    """The small network with the seeded weights; do not change it."""
    return build_golden(folder)


@pytest.fixture(scope="module")
def fused(folder: GoldenFolder, model: SSA) -> SSA:
    """The same weights, with deformable attention as one operator."""
    network = build_model(folder.config, model.state_dict())
    assert use_operator(network, "fused").name == "numba"
    return network


@pytest.fixture(scope="module")
def folded(folder: GoldenFolder, model: SSA) -> SSA:
    """The same weights, the trunk folded for inference."""
    return fold_weights(build_model(folder.config, model.state_dict()))


@pytest.fixture
def breakable(folder: GoldenFolder, model: SSA) -> SSA:
    """A network of one's own around the same tensors: parameters are replaced, never written to."""
    return build_model(folder.config, model.state_dict())


def explain(report: CaseReport) -> str:
    """Which stage went wrong first, and how."""
    first = report.first_deviation
    return "" if first is None else f"{report.name}: {first.name} deviates first: {first.error:.2e} ({first.detail})"


# The recipe of the weights


@pytest.mark.parametrize("size", ["small", pytest.param("full", marks=pytest.mark.slow)])
def test_seeded_weights_match_recorded_examples(size: str) -> None:
    """Values and sums of tensors of every kind."""
    for key, example in WEIGHTS[size]["examples"].items():
        drawn = seeded_array(key, example["shape"])
        assert drawn.reshape(-1)[:4].tolist() == example["first4"], key
        assert drawn.sum(dtype=np.float64) == pytest.approx(example["sum"], rel=1e-9), key


@pytest.mark.parametrize("size", ["small", pytest.param("full", marks=pytest.mark.slow)])
def test_seeded_weights_match_recorded_hash(size: str) -> None:
    """Every bit of every tensor."""
    digest = hashlib.sha256()
    for key, shape in LAYOUTS[size]:
        if key not in CRITERION_KEYS:
            digest.update(seeded_array(key, shape).tobytes())
    assert digest.hexdigest() == WEIGHTS[size]["sha256"]


def test_published_checkpoint_has_exactly_our_tensors() -> None:
    """Names, shapes and order of all 1260 tensors, and the number of parameters of each part."""
    layout = reference_layout(SsaConfig.from_mapping(load_config("model", "ssa-large")))
    assert list(layout.items()) == [(key, tuple(shape)) for key, shape in FULL["keys"]]
    counts = {prefix: 0 for prefix in FULL["parameters_learnable_by_module"]}
    for key, shape in layout.items():
        for prefix in counts:
            counts[prefix] += int(np.prod(shape)) if key.startswith(prefix) else 0
    assert counts == FULL["parameters_learnable_by_module"]


# The numbers


@pytest.mark.parametrize(
    ("case", "operator"),
    [
        *(pytest.param(case, "model", id=f"{case}-torch") for case in CASES),
        *(pytest.param(case, "fused", id=f"{case}-numba") for case in CASES),
        pytest.param("T12_odd", "folded", id="T12_odd-folded"),
    ],
)
def test_case_agrees_in_every_stage(
    request: pytest.FixtureRequest, folder: GoldenFolder, case: str, operator: str
) -> None:
    """All recorded arrays within their tolerances by each operator and folded, nothing left out, nothing excused."""
    report = verify_case(request.getfixturevalue(operator), folder, read_case(SMALL / f"{case}.npz"))
    assert report.first_deviation is None, explain(report)
    assert report.flip is None
    assert report.notes == ()
    assert {one.verdict for one in report.comparisons} == {Verdict.AGREES}
    assert len(report.comparisons) == 71


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_case_agrees_on_cuda_by_the_kernel(breakable: SSA, folder: GoldenFolder) -> None:
    """The Triton kernel gives the same numbers to the same tolerances."""
    network = breakable.to("cuda")
    assert use_operator(network, "fused").name == "triton"
    report = verify_case(network, folder, read_case(SMALL / "T2_long.npz"))
    assert report.first_deviation is None, explain(report)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_folder_agrees_on_cuda() -> None:
    """The same numbers to the same tolerances from another processor, TF32 off."""
    report = verify_folder(SMALL, device="cuda")
    assert report.passed, "; ".join(explain(case) for case in report.cases)


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=GPU)])
def test_bfloat16_is_for_information_and_close_before_the_first_decision(
    breakable: SSA, folder: GoldenFolder, device: str
) -> None:
    """Rounding turns attention masks of random weights over; what comes before them stays within a few per cent."""
    half = breakable.cast(torch.bfloat16).to(device)
    report = verify_case(half, folder, read_case(SMALL / "T2_long.npz"))
    early = [one for one in report.comparisons if one.stage in ("stem", "adapter3", "ms0", "text_fused", "fpn_out")]
    assert len(early) == 5
    assert all(one.error < 0.05 for one in early)
    assert report.flip is None


# That it would notice


def perturb(name: str) -> Callable[[SSA], None]:
    """Change one parameter's values by about a per cent each."""

    def change(model: SSA) -> None:
        parameter = model.get_parameter(name)
        noise = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0))
        parameter.data = parameter.data * (1 + 0.01 * noise)

    return change


def swap_heads(model: SSA) -> None:
    """Exchange two linear layers of one shape."""
    head = model.video_decoder
    head.mask_embed[0], head.mask_embed[2] = head.mask_embed[2], head.mask_embed[0]


def swap_levels(model: SSA) -> None:
    """Take the memories' embeddings in the wrong order."""
    weight = model.frame_decoder.level_embed.weight
    weight.data = weight.data.flip(0)


def wrong_eps(model: SSA) -> None:
    """Give one norm of the trunk another epsilon."""
    model.clip.visual.trunk.stages[3].downsample[0].eps = 1e-3


def no_causal_mask(model: SSA) -> None:
    """Lose the one buffer that no checkpoint holds."""
    model.clip.attn_mask = torch.zeros_like(model.clip.attn_mask)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("broken", "first"),
    [
        (no_causal_mask, "word_feat"),
        (perturb("clip.visual.trunk.stem.0.weight"), "stem"),
        (perturb("adapters.2.visual_in.weight"), "gate2"),
        (perturb("adapters.2.gate.weights.weight"), "gate2"),
        (perturb("adapters.2.attention.out_proj.weight"), "gate2"),
        (wrong_eps, "trunk3"),
        (perturb("sentence_resizer.proj.weight"), "lang_resized"),
        (perturb("pixel_decoder.layers.0.deformable.sampling_offsets.bias"), "ms0"),
        (perturb("pixel_decoder.lateral.weight"), "fpn_out"),
        (perturb("pixel_decoder.mask_features.weight"), "mask_features"),
        (perturb("video_mask_features.weight"), "vita_mask_features"),
        (swap_levels, "frame_query_layers[1]"),
        (perturb("frame_decoder.head.classifier.weight"), "frame_pred_logits"),
        (perturb("frame_decoder.layers.8.feed_forward.linear2.weight"), "frame_query_layers[9]"),
        (perturb("video_decoder.input_proj.weight"), "proj_frame_queries"),
        (perturb("video_decoder.enhancer.conv1.weight"), "temporal_queries"),
        (perturb("video_decoder.pooling.weight"), "time_weights"),
        (perturb("video_decoder.layers.4.self_attention.attention.out_proj.weight"), "video_query_layers[4]"),
        (perturb("video_decoder.classifier.weight"), "pred_logits"),
        (swap_heads, "pred_mask_embed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_broken_network_is_caught_at_its_first_stage(
    breakable: SSA, folder: GoldenFolder, broken: Callable[[SSA], None], first: str
) -> None:
    """One small mistake anywhere, and the stage it is made in is the one that is named."""
    broken(breakable)
    report = verify_case(breakable, folder, read_case(SMALL / "T2_long.npz"))
    assert report.first_deviation is not None
    assert report.first_deviation.name == first
