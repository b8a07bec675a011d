"""What an own definition of a CLIP may say: the part of open_clip's model configuration that SSA can use, bounded.

open_clip and timm take names of models as addresses, too (`hf-hub:`, `local-dir:`), and more fields than these name
models, tokenizers and settings of layers. A definition comes out of files that others made, so only the trunks listed
here are built, and any other field is refused.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, get_args

import msgspec
from msgspec import Meta

from ssa_stream.errors import ConfigError

__all__ = ["TRUNKS", "Trunk", "check_definition"]

Trunk = Literal[
    "convnext_atto", "convnext_atto_ols", "convnext_atto_rms", "convnext_base", "convnext_femto", "convnext_femto_ols",
    "convnext_large", "convnext_large_mlp", "convnext_nano", "convnext_nano_ols", "convnext_pico", "convnext_pico_ols",
    "convnext_small", "convnext_tiny", "convnext_tiny_hnf", "convnext_xlarge", "convnext_xxlarge", "convnext_zepto_rms",
    "convnext_zepto_rms_ols", "convnextv2_atto", "convnextv2_base", "convnextv2_femto", "convnextv2_huge",
    "convnextv2_large", "convnextv2_nano", "convnextv2_pico", "convnextv2_small", "convnextv2_tiny", "test_convnext",
    "test_convnext2", "test_convnext3",
]  # fmt: skip
"""timm's ConvNeXt models, by timm's names."""
TRUNKS: Final[tuple[str, ...]] = get_args(Trunk)

_Share = Annotated[float, Meta(ge=0, lt=1)]


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Frozen, keyword-only, unknown keys refused."""


class _VisionTower(_Part, frozen=True):
    timm_model_name: Trunk
    timm_model_pretrained: bool = False
    timm_pool: Literal["", "avg", "max", "avgmax"] = "avg"
    timm_proj: Literal["linear", "mlp"] = "linear"
    timm_proj_bias: bool = False
    timm_drop: _Share = 0.0
    timm_drop_path: _Share | None = None
    patch_dropout: Annotated[float, Meta(ge=0, le=0)] = 0.0
    image_size: Annotated[int, Meta(ge=1, le=4096)] = 224


class _TextTower(_Part, frozen=True):
    context_length: Annotated[int, Meta(ge=3, le=1024)] = 77
    vocab_size: Annotated[int, Meta(ge=49_408, le=200_000)] = 49_408  # CLIP's own tokenizer is used, whatever it says
    width: Annotated[int, Meta(ge=1, le=4096)] = 512
    heads: Annotated[int, Meta(ge=1, le=128)] = 8
    layers: Annotated[int, Meta(ge=1, le=64)] = 12
    mlp_ratio: Annotated[float, Meta(gt=0, le=16)] = 4.0
    ls_init_value: Annotated[float, Meta(ge=0, le=10)] | None = None


class _Definition(_Part, frozen=True):
    embed_dim: Annotated[int, Meta(ge=1, le=4096)]
    vision_cfg: _VisionTower
    text_cfg: _TextTower
    quick_gelu: bool = False
    custom_text: bool = False


def check_definition(definition: Mapping[str, Any]) -> None:
    """Refuse a definition that SSA cannot use, or that is larger than any such network.

    Raises:
        ConfigError: It is refused; says which field, and what was expected.
    """
    try:
        checked = msgspec.convert(definition, _Definition)
    except (msgspec.ValidationError, RecursionError) as error:
        name = _trunk(definition)
        listed = "" if name is None or name in TRUNKS else f"; the vision tower may be one of: {', '.join(TRUNKS)}"
        raise ConfigError(f"clip.definition: {error}{listed}") from error
    if checked.text_cfg.width % checked.text_cfg.heads:
        raise ConfigError(
            f"clip.definition: text_cfg.width {checked.text_cfg.width} is not divisible by "
            f"{checked.text_cfg.heads} heads"
        )


def _trunk(definition: Mapping[str, Any]) -> object:
    vision = definition.get("vision_cfg")
    return vision.get("timm_model_name") if isinstance(vision, Mapping) else None
