"""The stages of the network, whatever runs them: torch (`SSA` itself) or an engine (`ssa_stream.engines`).

Streaming, evaluation and nodes call nothing but these. Tensors are on `device`; those of real numbers are of `dtype`,
but for what says otherwise. A stage never writes to its arguments, and what it returns is the caller's own: no later
call changes it.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from ssa_stream.model.carry import CarriedPool
from ssa_stream.model.clip import TextFeatures
from ssa_stream.model.config import SsaConfig
from ssa_stream.model.frame_decoder import FramePrediction
from ssa_stream.model.video_decoder import WindowOutput

__all__ = ["FeatureMaps", "FrameQueries", "Stages"]

FeatureMaps = tuple[Tensor, Tensor, Tensor, Tensor]


class FrameQueries(NamedTuple):
    """Instance queries of `B` frames, each under its sentence.

    Attributes:
        queries: Frame queries, `(B, N, C)`.
        text: Sentence after fusion with the frame, `(B, C)`.
        mask_features: For masks of video queries, `(B, C, H/4, W/4)`. By far the largest of the three.
        predictions: Head outputs at each depth of the frame decoder, for training.
        frame_mask_features: Mask features of the frame decoder's own predictions, for training.
        depths: What the pixel decoder makes of strides 32, 16, 8 after each of its layers, for training.
    """

    queries: Tensor
    text: Tensor
    mask_features: Tensor
    predictions: tuple[FramePrediction, ...] = ()
    frame_mask_features: Tensor | None = None
    depths: tuple[tuple[Tensor, ...], ...] = ()


class Stages(Protocol):
    """The network for inference. `SSA` states shapes and errors of each stage.

    Axes: `B` items (a frame under a sentence), `F` frames, `P` prompts, `T` time, `N` queries, `C` hidden width.
    """

    @property
    def config(self) -> SsaConfig:
        """Sizes."""

    @property
    def device(self) -> torch.device:
        """Where tensors go in and come out."""

    @property
    def dtype(self) -> torch.dtype:
        """Type of the input, and of what the stages return."""

    def encode_text(self, prompts: Sequence[str]) -> TextFeatures:
        """Encode `P` sentences."""

    def cut_off(self, prompt: str) -> str | None:
        """What to say of a sentence that is longer than CLIP reads; None if all of it is read."""

    def encode_stem(self, images: Tensor) -> Tensor:
        """The prompt-free stage: `(F, 3, H, W)` to `(F, C0, H/4, W/4)`."""

    def condition(self, stem: Tensor, text: TextFeatures, frame_index: Tensor | None = None) -> FeatureMaps:
        """The rest of the trunk under `B` sentences: maps at strides 4, 8, 16, 32."""

    def generate_queries(self, maps: FeatureMaps, text: TextFeatures) -> FrameQueries:
        """Frame queries of `B` items."""

    def project_queries(self, queries: Tensor) -> Tensor:
        """Frame queries `(..., N, C)` in the space in which they are aligned and decoded."""

    def decode_window(self, aligned: Tensor, text: Tensor, carried: CarriedPool | None = None) -> WindowOutput:
        """Decode windows, `(B, T, N, C)`, of any length."""

    def predict_masks(self, embeddings: Tensor, mask_features: Tensor) -> Tensor:
        """Mask logits, `(B, N', H/4, W/4)`."""
