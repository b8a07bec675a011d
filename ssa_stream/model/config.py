"""Sizes of the SSA network. Everything that shapes a tensor is here; nothing else is.

A configuration comes out of files that others made, headers of weight files above all. So every number has bounds,
wide ones, and no text is handed to a library unless it is on a list here or in `clip_sizes`.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from ssa_stream.errors import ConfigError
from ssa_stream.model.clip_sizes import check_definition

__all__ = ["ClipConfig", "FrameDecoderConfig", "PixelDecoderConfig", "SsaConfig", "VideoDecoderConfig"]

_Label = Annotated[str, Meta(min_length=1, max_length=200)]
_Layers = Annotated[int, Meta(ge=1, le=64)]
_Heads = Annotated[int, Meta(ge=1, le=128)]
_Width = Annotated[int, Meta(ge=1, le=4096)]
_Hidden = Annotated[int, Meta(ge=1, le=16_384)]
_EdgePx = Annotated[int, Meta(ge=32, le=4096)]


class _Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Frozen, keyword-only, unknown keys refused."""


class ClipConfig(_Config, frozen=True):
    """The frozen CLIP: either the name of an open_clip model or an own definition of the same form.

    Attributes:
        name: open_clip model name, or the name under which `definition` is known.
        definition: open_clip model configuration (`embed_dim`, `vision_cfg`, `text_cfg`); None takes the one that
            open_clip ships for `name`. The vision tower must be a timm ConvNeXt, the text tower CLIP's own.
        num_words: Token positions used as word features, counted from the start token.
    """

    name: _Label
    definition: dict[str, Any] | None = None
    num_words: Annotated[int, Meta(ge=2, le=1024)] = 40

    def __post_init__(self) -> None:
        if self.definition is not None:
            check_definition(self.definition)


class PixelDecoderConfig(_Config, frozen=True):
    """Deformable encoder with bidirectional text fusion (instance query generation, first half).

    Attributes:
        num_layers: Fusion block + deformable layer pairs.
        num_heads: Heads of the deformable attention.
        num_points: Sampling points per head and level.
        ffn_dim: Hidden width of the feed-forward layers.
        fusion_dim: Inner width of the text fusion.
        fusion_heads: Heads of the text fusion.
    """

    num_layers: _Layers = 6
    num_heads: _Heads = 8
    num_points: Annotated[int, Meta(ge=1, le=64)] = 4
    ffn_dim: _Hidden = 1024
    fusion_dim: _Width = 512
    fusion_heads: _Heads = 4


class FrameDecoderConfig(_Config, frozen=True):
    """Masked-attention decoder that makes the frame queries (instance query generation, second half).

    Attributes:
        num_layers: Decoder layers.
        num_heads: Attention heads.
        ffn_dim: Hidden width of the feed-forward layers.
        mask_moments: Whether frame queries are told where their masks are (`extensions.mask_moments`); the published
            network does not do this.
    """

    num_layers: _Layers = 9
    num_heads: _Heads = 8
    ffn_dim: _Hidden = 2048
    mask_moments: bool = False


class VideoDecoderConfig(_Config, frozen=True):
    """Video decoder (sequential alignment).

    Attributes:
        num_layers: Decoder layers.
        num_heads: Attention heads, those of the temporal enhancer too.
        ffn_dim: Hidden width of the feed-forward layers.
        has_input_projection: Whether frame queries are projected before they are aligned.
        presence: Whether video queries are less probable where frames show nothing that fits (`extensions.presence`);
            the published network does not do this.
    """

    num_layers: _Layers = 6
    num_heads: _Heads = 8
    ffn_dim: _Hidden = 2048
    has_input_projection: bool = True
    presence: bool = False


class SsaConfig(_Config, frozen=True):
    """The whole network.

    Attributes:
        name: Name of the configuration, such as `ssa-large`.
        clip: The frozen CLIP.
        hidden_dim: Width of all queries, maps and heads after the trunk (`C` in the model's comments).
        num_queries: Object queries per frame and per video (`N`).
        adapter_dim: Inner width of the stage adapters.
        adapter_heads: Attention heads of the stage adapters.
        pixel_decoder: Deformable encoder with text fusion.
        frame_decoder: Decoder of the frame queries.
        video_decoder: Decoder of the video queries.
        short_edge_px: Frames are resized to this shortest edge by default.
        long_edge_px: Upper limit of the longest edge by default.
        dropout: Dropout of adapters, fusion and sentence resizer; active in training only.
    """

    name: _Label
    clip: ClipConfig
    hidden_dim: _Width = 256
    num_queries: Annotated[int, Meta(ge=1, le=1000)] = 20
    adapter_dim: _Width = 256
    adapter_heads: _Heads = 8
    pixel_decoder: PixelDecoderConfig = PixelDecoderConfig()
    frame_decoder: FrameDecoderConfig = FrameDecoderConfig()
    video_decoder: VideoDecoderConfig = VideoDecoderConfig()
    short_edge_px: _EdgePx = 448
    long_edge_px: _EdgePx = 1333
    dropout: Annotated[float, Meta(ge=0, lt=1)] = 0.1

    def __post_init__(self) -> None:
        for owner, dim, heads in (
            ("adapter", self.adapter_dim, self.adapter_heads),
            ("pixel_decoder", self.hidden_dim, self.pixel_decoder.num_heads),
            ("pixel_decoder fusion", self.pixel_decoder.fusion_dim, self.pixel_decoder.fusion_heads),
            ("frame_decoder", self.hidden_dim, self.frame_decoder.num_heads),
            ("video_decoder", self.hidden_dim, self.video_decoder.num_heads),
        ):
            if heads < 1 or dim % heads:
                raise ValueError(f"{owner}: width {dim} is not divisible by {heads} heads")
        if self.hidden_dim % 32 or self.adapter_dim % 4:
            raise ValueError(
                f"hidden_dim {self.hidden_dim} must be a multiple of 32 (group norm), "
                f"adapter_dim {self.adapter_dim} of 4 (2-D sine code)"
            )
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout {self.dropout} must be in [0, 1)")
        if self.num_queries < 1 or self.clip.num_words < 2:
            raise ValueError("num_queries must be at least 1 and clip.num_words at least 2")
        if not 32 <= self.short_edge_px <= self.long_edge_px:
            raise ValueError(f"need 32 <= short_edge_px {self.short_edge_px} <= long_edge_px {self.long_edge_px}")

    def edges_px(self, short_edge_px: int | None = None, long_edge_px: int | None = None) -> tuple[int, int]:
        """Wanted shortest edge at the network and limit of the longest: as asked, else the network's own."""
        return short_edge_px or self.short_edge_px, long_edge_px or self.long_edge_px

    @classmethod
    def from_mapping(cls, mapping: object) -> "SsaConfig":
        """Build a config from decoded YAML or JSON.

        Args:
            mapping: Nested dictionaries with the fields above.
        Raises:
            ConfigError: Unknown or missing keys, wrong types, or sizes that do not fit together.
        """
        try:
            return msgspec.convert(mapping, cls)
        except (msgspec.ValidationError, ValueError, RecursionError) as error:
            raise ConfigError(f"model configuration is not valid: {error}") from error

    def to_mapping(self) -> dict[str, Any]:
        """The same config as plain dictionaries, for YAML, JSON or safetensors metadata."""
        built: dict[str, Any] = msgspec.to_builtins(self)
        return built
