"""The SSA network: its stages, each a public method, and the offline forward that composes them."""

from collections.abc import Sequence
from typing import Self, cast

import torch
from torch import Tensor, nn

from ssa_stream.errors import ShapeError
from ssa_stream.model import clip as clip_module
from ssa_stream.model.adapter import StageAdapter
from ssa_stream.model.carry import CarriedPool
from ssa_stream.model.clip import TextFeatures
from ssa_stream.model.clip_forward import ClipOutput, forward_clip
from ssa_stream.model.config import SsaConfig
from ssa_stream.model.extensions.mask_moments import MaskMoments, NoMaskMoments
from ssa_stream.model.frame_decoder import FrameDecoder
from ssa_stream.model.pixel_decoder import PixelDecoder
from ssa_stream.model.preprocess import SIZE_DIVISOR
from ssa_stream.model.selection import mask_logits
from ssa_stream.model.stages import FeatureMaps, FrameQueries
from ssa_stream.model.video_decoder import VideoDecoder, WindowOutput

__all__ = ["SSA"]


class SentenceResizer(nn.Module):
    """Project the CLIP sentence to the hidden width."""

    def __init__(self, text_dim: int, dim: int, dropout: float) -> None:
        super().__init__()
        self.proj = nn.Linear(text_dim, dim)
        self.norm = nn.LayerNorm(dim, eps=1e-12)
        self.dropout = nn.Dropout(dropout)

    def forward(self, sentence: Tensor) -> Tensor:
        """Map `(B, E)` to `(B, C)`."""
        resized: Tensor = self.dropout(self.norm(self.proj(sentence)))
        return resized


class SSA(nn.Module):
    """Semantic and Sequential Alignment for referring video object segmentation.

    A pure function of its weights and arguments: what lasts over time is passed in and returned. Axes: `B` items (a
    frame under a sentence), `F` frames, `P` prompts, `T` time, `N` queries, `C` hidden width.

    Args:
        config: Sizes. Weights are random until loaded (`ssa_stream.checkpoints`).
    Attributes:
        trunk_channels: Of the feature maps at strides 4, 8, 16, 32.
        text_dim: Width `E` of the text features.
    Source: "Semantic and Sequential Alignment for Referring Video Object Segmentation", CVPR 2025.
    """

    def __init__(self, config: SsaConfig) -> None:
        super().__init__()
        self.config = config
        self.clip = clip_module.build_clip(config.clip)
        channels = clip_module.trunk_channels(self.clip)
        text_dim = int(self.clip.text_projection.shape[1])
        self.trunk_channels, self.text_dim = channels, text_dim
        self.adapters = nn.ModuleList(
            StageAdapter(width, text_dim, config.adapter_dim, config.adapter_heads, config.dropout)
            for width in channels
        )
        self.sentence_resizer = SentenceResizer(text_dim, config.hidden_dim, config.dropout)
        self.pixel_decoder = PixelDecoder(config, channels)
        self.frame_decoder = FrameDecoder(config)
        self.mask_moments = MaskMoments(config.hidden_dim) if config.frame_decoder.mask_moments else NoMaskMoments()
        self.video_mask_features = nn.Conv2d(config.hidden_dim, config.hidden_dim, 1)
        self.video_decoder = VideoDecoder(config)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.video_mask_features.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights and of the input; the pixel decoder is float32 always."""
        return self.video_mask_features.weight.dtype

    def cast(self, dtype: torch.dtype) -> Self:
        """Change the type of all weights but the pixel decoder's, in place.

        Args:
            dtype: float32 or bfloat16.
        """
        for name, child in self.named_children():
            if name != "pixel_decoder":
                child.to(dtype)
        return self

    def train(self, mode: bool = True) -> Self:
        """Switch to training; the frozen CLIP stays in evaluation mode."""
        super().train(mode)
        self.clip.eval()
        return self

    def encode_text(self, prompts: Sequence[str]) -> TextFeatures:
        """Encode sentences with the frozen text tower.

        Args:
            prompts: `P` sentences.
        Returns:
            `P` rows. Padding slots beyond the sentence are there but masked.
        """
        if not prompts:
            raise ShapeError("no prompts to encode; expected at least one sentence")
        tokens = clip_module.tokenize(prompts, self.clip.context_length).to(self.device)
        with torch.no_grad():
            return clip_module.encode_text(self.clip, tokens, self.config.clip.num_words)

    def cut_off(self, prompt: str) -> str | None:
        """What to say of a sentence that is longer than CLIP reads; None if all of it is read."""
        return clip_module.cut_off(prompt, self.clip.context_length)

    def encode_stem(self, images: Tensor) -> Tensor:
        """The prompt-free stage: stem and first trunk stage, shared by all prompts of a frame.

        Args:
            images: Normalised and padded frames, `(F, 3, H, W)`, see `preprocess.to_input`.
        Returns:
            `(F, C0, H/4, W/4)`.
        Raises:
            ShapeError: Wrong rank or channels, or sides that are not multiples of 32.
        """
        if images.dim() != 4 or images.shape[1] != 3 or any(side % SIZE_DIVISOR for side in images.shape[2:]):
            raise ShapeError(
                f"images have shape {tuple(images.shape)}; expected (frames, 3, height, width) with sides that are "
                f"multiples of {SIZE_DIVISOR} (preprocess.to_input pads them)"
            )
        stem, stages = clip_module.trunk_stages(self.clip)
        first: Tensor = stages[0](stem(images))
        return first

    def condition(self, stem: Tensor, text: TextFeatures, frame_index: Tensor | None = None) -> FeatureMaps:
        """The rest of the trunk, each stage adapted to the text before the next one.

        Args:
            stem: Output of `encode_stem` for `F` frames.
            text: `B` rows.
            frame_index: Which frame each row of `text` looks at, `(B,)` int64; None pairs row i with frame i.
        Returns:
            Adapted maps at strides 4, 8, 16, 32, `B` items each.
        Raises:
            ShapeError: Rows and frames do not pair up.
        """
        if frame_index is None and stem.shape[0] != text.sentence.shape[0]:  # len() would be a constant of a graph
            raise ShapeError(
                f"{len(stem)} frames and {len(text.sentence)} sentences; expected one sentence per frame, or a "
                f"frame_index that says which frame each sentence looks at"
            )
        _, stages = clip_module.trunk_stages(self.clip)
        adapters = [cast(StageAdapter, adapter) for adapter in self.adapters]
        visual = adapters[0].visual_path(stem)
        if frame_index is not None:
            visual = visual.take(frame_index)
        maps = [adapters[0](visual, text)]
        for stage, adapter in zip(list(stages)[1:], adapters[1:], strict=True):
            maps.append(adapter(adapter.visual_path(stage(maps[-1])), text))
        stride4, stride8, stride16, stride32 = maps
        return stride4, stride8, stride16, stride32

    def encode_frame(self, images: Tensor, text: TextFeatures) -> FeatureMaps:
        """Text-conditioned features of frames `(B, 3, H, W)` under `B` sentences."""
        return self.condition(self.encode_stem(images), text)

    def generate_queries(self, maps: FeatureMaps, text: TextFeatures) -> FrameQueries:
        """Instance query generation.

        Args:
            maps: Adapted maps of `B` items.
            text: `B` rows; only the sentence is used.
        """
        features = self.pixel_decoder(maps, self.sentence_resizer(text.sentence))
        predictions = self.frame_decoder(features)
        return FrameQueries(
            queries=self.mask_moments(predictions[-1], features.mask_features),
            text=features.text.to(self.dtype),
            mask_features=self.video_mask_features(features.fpn.to(self.dtype)),
            predictions=tuple(predictions) if self.training else (),
            frame_mask_features=features.mask_features if self.training else None,
            depths=features.depths,
        )

    def project_queries(self, queries: Tensor) -> Tensor:
        """Project frame queries `(..., N, C)` to the space in which they are aligned and decoded."""
        return self.video_decoder.project(queries)

    def decode_window(self, aligned: Tensor, text: Tensor, carried: CarriedPool | None = None) -> WindowOutput:
        """Sequential alignment and decoding of a window.

        Args:
            aligned: Projected queries in slot order (`alignment.align_chain`), `(B, T, N, C)`.
            text: Fused sentence of each frame, `(B, T, C)`.
            carried: Frames that have left the window.
        """
        output: WindowOutput = self.video_decoder(aligned, text, carried)
        return output

    def predict_masks(self, embeddings: Tensor, mask_features: Tensor) -> Tensor:
        """Mask logits `(B, N', H/4, W/4)` of embeddings `(B, N', C)` on mask features `(B, C, H/4, W/4)`."""
        return mask_logits(embeddings, mask_features)

    def forward(self, images: Tensor, text: TextFeatures, chunk_size: int = 18) -> ClipOutput:
        """Offline forward: a whole clip is one window; see `clip_forward.forward_clip`."""
        return forward_clip(self, images, text, chunk_size)
