"""Run a golden case through the network and keep what its stages give, with hooks: the network knows nothing of it."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ssa_stream.checkpoints.golden_compare import is_recorded, summarize
from ssa_stream.checkpoints.golden_folder import GoldenCase, GoldenFolder
from ssa_stream.model import SSA, ClipOutput, MaskSizes, TextFeatures, to_input
from ssa_stream.model.frame_decoder import FramePrediction
from ssa_stream.model.offline import masks_of_clip
from ssa_stream.model.pixel_decoder import PixelFeatures
from ssa_stream.model.selection import mask_logits

__all__ = ["trace_case"]

Array = NDArray[Any]


class _Recorder:
    """What modules gave, by stage; one entry per call."""

    def __init__(self, wanted: Callable[[str], bool]) -> None:
        self._wanted = wanted
        self._calls: dict[str, list[Tensor]] = defaultdict(list)

    def keep(self, name: str, value: Tensor) -> None:
        if self._wanted(name):
            self._calls[name].append(value.detach().float().cpu())

    def keep_pixel_features(self, name: str, features: PixelFeatures) -> None:
        for i, memory in enumerate(features.memories):
            self.keep(f"ms{i}", memory)
        self.keep("fpn_out", features.fpn)
        self.keep("mask_features", features.mask_features)

    def keep_predictions(self, name: str, predictions: list[FramePrediction]) -> None:
        # Layers go last for now, so that chunks of frames join along the first axis.
        self.keep("frame_query_layers", torch.stack([one.queries for one in predictions], dim=1))
        self.keep("attn_blocked", torch.stack([one.blocked.sum(dim=-1) for one in predictions], dim=1))
        self.keep("attn_level_size", torch.tensor([one.blocked.shape[-1] for one in predictions])[None])
        self.keep("frame_queries", predictions[-1].queries)
        self.keep("frame_pred_logits", predictions[-1].class_logits)

    def arrays(self) -> dict[str, Array]:
        """What was kept, calls joined along their first axis (frames)."""
        return {name: torch.cat(calls).numpy() for name, calls in self._calls.items()}


@contextmanager
def _recording(model: SSA, recorder: _Recorder) -> Iterator[None]:
    """Hooks on the stages of the network, for as long as the context is open."""
    trunk = model.clip.visual.trunk
    watched: list[tuple[nn.Module, str, Callable[[str, Any], None]]] = [
        (trunk.stem, "stem", recorder.keep),
        *((stage, f"trunk{i}", recorder.keep) for i, stage in enumerate(trunk.stages)),
        *((adapter, f"adapter{i}", recorder.keep) for i, adapter in enumerate(model.adapters)),
        *((adapter.get_submodule("gate"), f"gate{i}", recorder.keep) for i, adapter in enumerate(model.adapters)),
        (model.sentence_resizer, "lang_resized", recorder.keep),
        (model.pixel_decoder, "", recorder.keep_pixel_features),
        (model.video_mask_features, "vita_mask_features", recorder.keep),
        (model.frame_decoder, "", recorder.keep_predictions),
        (model.video_decoder.input_proj, "proj_frame_queries", recorder.keep),
        *((layer, "video_query_layers", recorder.keep) for layer in model.video_decoder.layers),
    ]
    handles = [module.register_forward_hook(_hook(name, keep)) for module, name, keep in watched]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _hook(name: str, keep: Callable[[str, Any], None]) -> Callable[[nn.Module, Any, Any], None]:
    def hook(module: nn.Module, arguments: Any, output: Any) -> None:
        keep(name, output)

    return hook


@torch.inference_mode()
def trace_case(model: SSA, folder: GoldenFolder, case: GoldenCase) -> dict[str, Array]:
    """Run a case as the reference does.

    Args:
        model: The network, in evaluation mode.
        folder: Where the case is of: how many frames go together, and the selection's threshold.
        case: The case.
    Returns:
        All stages that the case records, under its names; of big maps what it records of them.
    """
    recorder = _Recorder(lambda name: is_recorded(name, case.arrays))
    images = to_input(case.frames, model.device, model.dtype)
    with _recording(model, recorder):
        text = model.encode_text([case.sentence])
        clip = model(images, text, chunk_size=folder.chunk_size)
    traced = recorder.arrays()
    for name in ("frame_query_layers", "attn_blocked"):
        if name in traced:
            traced[name] = traced[name].swapaxes(0, 1)
    for name in ("lang_resized", "attn_level_size", "proj_frame_queries"):
        if name in traced:
            traced[name] = traced[name][0]  # the same for all frames, and a batch of one clip
    traced |= _of_text(text) | _of_clip(clip) | _of_masks(clip, case, folder.threshold)
    return dict(_as_recorded(traced, case.arrays))


def _array(tensor: Tensor) -> Array:
    return np.asarray((tensor.float() if tensor.is_floating_point() else tensor).cpu())


def _of_text(text: TextFeatures) -> dict[str, Array]:
    return {
        "tokens": _array(text.tokens),
        "word_feat": _array(text.words[0]),
        "word_mask": _array(text.mask[0]),
        "sent_feat": _array(text.sentence[0]),
    }


def _of_clip(clip: ClipOutput) -> dict[str, Array]:
    """What the clip's own output says, the batch of one taken off."""
    window, last = clip.window, clip.window.predictions[-1]
    embeddings = window.mask_embedding.expand(len(clip.mask_features), -1, -1)
    return {
        "text_fused": _array(clip.text[0]),
        "perm": _array(clip.order[0]),
        "aligned_frame_queries": _array(clip.aligned[0]),
        "temporal_queries": _array(window.enhanced[0]),
        "time_weights": _array(window.pooling_logits[0].float().softmax(dim=0)),
        "init_video_queries": _array(window.initial_queries[0]),
        "pred_logits": _array(last.class_logits[0]),
        "pred_fg_prob": _array(window.probability[0]),
        "pred_mask_embed": _array(window.mask_embedding[0]),
        "mask_logits": _array(mask_logits(embeddings, clip.mask_features).transpose(0, 1)),
    }


def _of_masks(clip: ClipOutput, case: GoldenCase, threshold: float) -> dict[str, Array]:
    """Final masks and scores, both ways to select."""
    height, width = case.frames.shape[1:3]
    stride4 = clip.mask_features.shape[-2:]
    sizes = MaskSizes((stride4[0] * 4, stride4[1] * 4), (height, width), case.output_size)
    made = {}
    for mode, masks in (
        ("merge", masks_of_clip(clip, sizes, "multi", threshold)),
        ("single", masks_of_clip(clip, sizes, "single", 0.0)),
    ):
        made[f"masks_{mode}"] = _array(masks.merged().to(torch.uint8))
        made[f"scores_{mode}"] = _array(masks.scores)
        made[f"labels_{mode}"] = np.zeros(len(masks.slots), np.int64)
    return made


def _as_recorded(traced: Mapping[str, Array], recorded: Mapping[str, Array]) -> Iterator[tuple[str, Array]]:
    """Arrays in the form in which the case has them, whole or as a summary."""
    for name, values in traced.items():
        if name in recorded:
            yield name, values
        elif is_recorded(name, recorded):
            yield from ((f"{name}_{part}", value) for part, value in summarize(values).items())
