"""The stages, one by one and together, in any batching, in both number types, and in training."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssa_stream.errors import ShapeError
from ssa_stream.model import SSA, ClipOutput, align_chain, segment_clip, to_input
from tests.support.tiny_model import random_frames, tiny_config, tiny_model

PROMPTS = ["a dog", "the red car turning left", "!"]
DEVICES = [
    "cpu",
    pytest.param(
        "cuda", marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")]
    ),
]
# bfloat16 keeps 8 bits: half a per cent a step, and it adds up over the trunk's blocks.
BFLOAT16_RMS_ERROR = 0.05


def fresh_model(device: str = "cpu") -> SSA:
    """A network of one's own with the shared one's weights."""
    with torch.random.fork_rng(devices=[]):
        model = SSA(tiny_config()).eval()
    model.load_state_dict(tiny_model().state_dict())
    return model.to(device)


def rms_error(ours: Tensor, exact: Tensor) -> float:
    """Root mean square of the difference over that of the exact values."""
    return float((ours.float() - exact).square().mean().sqrt() / exact.square().mean().sqrt())


@torch.inference_mode()
@pytest.mark.parametrize("device", DEVICES)
def test_frames_by_prompts_in_one_batch_equals_one_by_one(device: str) -> None:
    """F frames under P prompts share stem and batch, and each result is that of the pair alone."""
    model = fresh_model(device)
    images = to_input(random_frames(3), device)
    text, stem = model.encode_text(PROMPTS), model.encode_stem(images)
    frames, prompts = torch.cartesian_prod(torch.arange(3, device=device), torch.arange(3, device=device)).T
    rows = text.take(prompts)
    together = model.generate_queries(model.condition(stem, rows, frames), rows)
    for i, (f, p) in enumerate(zip(frames.tolist(), prompts.tolist(), strict=True)):
        alone_text = model.encode_text([PROMPTS[p]])
        alone = model.generate_queries(model.encode_frame(images[f : f + 1], alone_text), alone_text)
        for name in ("queries", "text", "mask_features"):
            torch.testing.assert_close(
                getattr(together, name)[i : i + 1], getattr(alone, name), rtol=1e-3, atol=1e-4, msg=f"{name} {f} {p}"
            )


@torch.inference_mode()
def test_stages_compose_to_forward() -> None:
    """Whoever calls the stages one after the other gets what the offline forward gives."""
    model, images = tiny_model(), to_input(random_frames(4))
    text = model.encode_text(["a dog"])
    rows = text.take(torch.zeros(4, dtype=torch.int64))
    made = model.generate_queries(model.condition(model.encode_stem(images), rows), rows)
    aligned, order = align_chain(model.project_queries(made.queries[None]))
    window = model.decode_window(aligned, made.text[None])
    whole: ClipOutput = model(images, text)
    assert torch.equal(order, whole.order)
    assert torch.equal(window.probability, whole.window.probability)
    assert torch.equal(made.mask_features, whole.mask_features)
    masks = model.predict_masks(window.mask_embedding.expand(4, -1, -1), made.mask_features)
    assert masks.shape == (4, 6, images.shape[2] // 4, images.shape[3] // 4)


@torch.inference_mode()
def test_forward_in_chunks_equals_at_once() -> None:
    """The chunk size is a matter of memory only."""
    model, images = tiny_model(), to_input(random_frames(5))
    text = model.encode_text(["a dog"])
    for ours, theirs in zip(model(images, text, chunk_size=2).window[:2], model(images, text).window[:2], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


def test_segment_clip_gives_masks_of_the_frames_own_size() -> None:
    """Pictures and a sentence in, masks out; a frame size that is no multiple of 32."""
    frames = random_frames(3, (37, 53))
    result = segment_clip(tiny_model(), frames, "the red car", threshold=0.0)
    assert result.masks.shape == (6, 3, 37, 53)
    assert result.slots.tolist() == list(range(6))
    assert torch.equal(result.merged(), result.masks.any(dim=0))
    nothing = segment_clip(tiny_model(), frames, "the red car", threshold=0.9999999)
    assert nothing.masks.shape == (0, 3, 37, 53)
    assert not nothing.merged().any()


@torch.inference_mode()
@pytest.mark.parametrize("device", DEVICES)
def test_bfloat16_keeps_the_pixel_decoder_in_float32_and_stays_close(device: str) -> None:
    """Half the memory everywhere but in the pixel decoder, whose sampling positions need the digits."""
    exact, half = fresh_model(device), fresh_model(device).cast(torch.bfloat16)
    assert half.dtype == torch.bfloat16
    for name, tensor in half.state_dict().items():
        assert tensor.dtype == (torch.float32 if name.startswith("pixel_decoder.") else torch.bfloat16), name
    seen: list[torch.dtype] = []
    half.pixel_decoder.layers[0].register_forward_pre_hook(
        lambda module, inputs: seen.extend(x.dtype for x in inputs if isinstance(x, Tensor))
    )
    made = {}
    for model in (exact, half):
        text = model.encode_text(["a dog"])
        images = to_input(random_frames(1), device, model.dtype)
        made[model.dtype] = model.generate_queries(model.encode_frame(images, text), text)
    assert set(seen) == {torch.float32}
    ours, theirs = made[torch.bfloat16], made[torch.float32]
    assert ours.queries.dtype == ours.text.dtype == ours.mask_features.dtype == torch.bfloat16
    assert rms_error(ours.text, theirs.text) < BFLOAT16_RMS_ERROR
    assert rms_error(ours.mask_features, theirs.mask_features) < BFLOAT16_RMS_ERROR
    assert rms_error(ours.queries, theirs.queries) < BFLOAT16_RMS_ERROR


@pytest.mark.parametrize(
    ("shape", "told"),
    [((1, 3, 32, 33), "multiples of 32"), ((3, 32, 32), "frames, 3"), ((1, 4, 32, 32), "frames, 3")],
    ids=["unpadded", "no_batch", "channels"],
)
def test_encode_stem_of_wrong_shape_is_refused(shape: tuple[int, ...], told: str) -> None:
    """The message says how to mend it."""
    with pytest.raises(ShapeError, match=told):
        tiny_model().encode_stem(torch.zeros(shape))


def test_mismatched_rows_and_empty_prompts_are_refused() -> None:
    """Sentences and frames pair up, or an index says how."""
    model = tiny_model()
    stem, text = model.encode_stem(torch.zeros(2, 3, 32, 32)), model.encode_text(PROMPTS)
    with pytest.raises(ShapeError, match="2 frames and 3 sentences"):
        model.condition(stem, text)
    with pytest.raises(ShapeError, match="no prompts"):
        model.encode_text([])
    with pytest.raises(ShapeError, match="3 sentences for one clip"):
        model(torch.zeros(2, 3, 32, 32), text)


@pytest.mark.parametrize(
    ("frames", "told"),
    [
        ([np.zeros((32, 32, 3))], "float64"),
        ([], "at least one frame"),
        ([np.zeros((32, 32, 3), np.uint8), np.zeros((32, 40, 3), np.uint8)], "all of one size"),
    ],
    ids=["dtype", "none", "mixed"],
)
def test_segment_clip_of_wrong_frames_is_refused(frames: list[NDArray[Any]], told: str) -> None:
    """Said before anything is computed, and not by the imaging library."""
    with pytest.raises(ShapeError, match=told):
        segment_clip(tiny_model(), frames, "a dog")


def test_encode_text_of_any_length_has_the_same_shape_and_masks_padding() -> None:
    """Short sentences are padded, long ones cut; the sentence's own vector is found in all 77 positions."""
    model = tiny_model()
    text = model.encode_text(["dog", "a very long sentence " * 30])
    assert text.words.shape[1] == text.mask.shape[1] == model.config.clip.num_words
    assert text.mask[0].tolist() == [True] * 3 + [False] * 5
    assert text.mask[1].all()
    assert text.tokens[1, -1] == text.tokens[0].max() == 49407
    torch.testing.assert_close(text.sentence[0], model.encode_text(["DOG "]).sentence[0])


def test_training_gradients_reach_every_learnable_parameter_and_no_frozen_one() -> None:
    """CLIP is frozen but lets gradients through to the adapters before its stages; all else learns."""
    model = fresh_model().train()
    with torch.no_grad():  # gradients do not pass what is zero: some weights start so, others keep masks open in tests
        for parameter in model.parameters():
            if not parameter.any():
                parameter.normal_(std=0.1)
    assert not model.clip.training
    assert not any(module.training for module in model.clip.modules())
    assert all(module.training for name, module in model.named_children() if name != "clip")
    text = model.encode_text(["a dog", "the red car"])
    made = model.generate_queries(model.encode_frame(to_input(random_frames(2)), text), text)
    aligned, _ = align_chain(model.project_queries(made.queries[None]))
    window = model.decode_window(aligned, made.text[None])
    assert len(made.predictions) == 3
    assert len(window.predictions) == 2
    assert made.frame_mask_features is not None
    frame_masks = [model.predict_masks(one.mask_embedding, made.frame_mask_features) for one in made.predictions]
    video_masks = [
        model.predict_masks(one.mask_embedding.expand(2, -1, -1), made.mask_features) for one in window.predictions
    ]
    similarity = model.video_decoder.video_similarity(window.predictions[-1].queries)
    terms = [
        *frame_masks,
        *video_masks,
        *(one.class_logits for one in (*made.predictions, *window.predictions)),
        similarity,
        model.video_decoder.frame_similarity(aligned),
    ]
    torch.stack([(term * torch.randn_like(term)).sum() for term in terms]).sum().backward()
    without = [name for name, p in model.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    assert without == []
    assert [name for name, p in model.clip.named_parameters() if p.grad is not None] == []
