"""The SSA network: its stages, each a public method, and the offline forward that composes them."""

from collections.abc import Collection, Sequence
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
from ssa_stream.model.parts import Absent, modules_of, part_building
from ssa_stream.model.pixel_decoder import PixelDecoder
from ssa_stream.model.precision import Precision
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
        parts: Which of `parts.PARTS` to build; the others' stages raise. None builds the whole network.
        seed: Of the random weights, which are then the same in a part as in the whole network. It sets torch's
            generator. None draws from that as it is.
    Attributes:
        trunk_channels: Of the feature maps at strides 4, 8, 16, 32.
        text_dim: Width `E` of the text features.
        place: Empty; where the weights are, and of their type.
        precision: How the pixel decoder computes; `cast` sets it.
        is_folded: Whether the trunk was written anew for inference, see `folds`.
    Raises:
        ConfigError: There is no such part, or the configuration cannot be built.
    Source: "Semantic and Sequential Alignment for Referring Video Object Segmentation", CVPR 2025.
    """

    place: Tensor
    precision: Precision = "published"
    is_folded: bool = False

    def __init__(self, config: SsaConfig, *, parts: Collection[str] | None = None, seed: int | None = None) -> None:
        super().__init__()
        self.config = config
        held = modules_of(parts)
        with part_building("clip", held, seed):
            self.clip = clip_module.build_clip(config.clip)
        channels = clip_module.trunk_channels(self.clip)
        text_dim = int(self.clip.text_projection.shape[1])
        self.trunk_channels, self.text_dim = channels, text_dim
        with part_building("adapters", held, seed):
            self.adapters = nn.ModuleList(
                StageAdapter(width, text_dim, config.adapter_dim, config.adapter_heads, config.dropout)
                for width in channels
            )
        with part_building("sentence_resizer", held, seed):
            self.sentence_resizer = SentenceResizer(text_dim, config.hidden_dim, config.dropout)
        with part_building("pixel_decoder", held, seed):
            self.pixel_decoder = PixelDecoder(config, channels)
        with part_building("frame_decoder", held, seed):
            self.frame_decoder = FrameDecoder(config)
        with part_building("mask_moments", held, seed):
            self.mask_moments = MaskMoments(config.hidden_dim) if config.frame_decoder.mask_moments else NoMaskMoments()
        with part_building("video_mask_features", held, seed):
            self.video_mask_features = nn.Conv2d(config.hidden_dim, config.hidden_dim, 1)
        with part_building("video_decoder", held, seed):
            self.video_decoder = VideoDecoder(config)
        self.register_buffer("place", torch.empty(0), persistent=False)
        if parts is not None:
            self.keep(parts)

    def keep(self, parts: Collection[str]) -> Self:
        """Keep the modules of some parts only, in place; the stages of others raise from now on.

        Args:
            parts: Some of `parts.PARTS`.
        Raises:
            ConfigError: There is no such part.
        """
        held = modules_of(parts)
        for name, _ in list(self.named_children()):
            if name not in held:
                self.add_module(name, Absent(name, parts))
        return self

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.place.device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights and of the input; the pixel decoder is float32 always."""
        return self.place.dtype

    def weight_type(self, name: str, dtype: torch.dtype) -> torch.dtype:
        """Type of a module or tensor in a network of `dtype` and of this precision, by its name in the network."""
        module, _, rest = name.partition(".")
        return PixelDecoder.weight_type(rest, self.precision) if module == "pixel_decoder" else dtype

    def cast(self, dtype: torch.dtype, precision: Precision | None = None) -> Self:
        """Change the types of all weights, in place.

        Args:
            dtype: float32 or bfloat16, for all but the pixel decoder.
            precision: How the pixel decoder computes; None leaves that.
        """
        self.precision = precision or self.precision
        for child in self.children():
            if isinstance(child, PixelDecoder):
                child.cast(self.precision)
            else:
                child.to(dtype)
        self.place = self.place.to(dtype)
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

    def forward(self, images: Tensor, text: TextFeatures, chunk_size: int | None = None) -> ClipOutput:
        """Offline forward: a whole clip is one window; see `clip_forward.forward_clip`."""
        return forward_clip(self, images, text, chunk_size)
