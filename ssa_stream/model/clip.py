"""The frozen CLIP: a timm ConvNeXt trunk and CLIP's text tower, built by open_clip."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import open_clip
import torch
from open_clip.model import CLIP
from torch import Tensor, nn

from ssa_stream.errors import ConfigError
from ssa_stream.model.clip_sizes import TRUNKS
from ssa_stream.model.config import ClipConfig

__all__ = [
    "TextFeatures",
    "build_clip",
    "causal_mask",
    "clip_definition",
    "context_length",
    "cut_off",
    "encode_text",
    "tokenize",
    "trunk_channels",
]

_CONTEXT_LENGTH = 77  # where open_clip's configuration leaves it out
_MARKS = 2  # tokens of beginning and end
_SHOWN_CHARACTERS = 30


class TextFeatures(NamedTuple):
    """What CLIP's text tower says of `B` sentences.

    Attributes:
        tokens: Token ids, `(B, 77)` int64.
        words: Projected states of the first `L` token positions, `(B, L, E)`; not normalised.
        mask: Which of them hold a token, `(B, L)` bool.
        sentence: Projected state of the end token, `(B, E)`; not normalised.
    """

    tokens: Tensor
    words: Tensor
    mask: Tensor
    sentence: Tensor

    def take(self, index: Tensor) -> "TextFeatures":
        """Rows by index, `(K,)` int64; rows may repeat (one sentence for many frames)."""
        return TextFeatures(*(field.index_select(0, index) for field in self))


def clip_definition(config: ClipConfig) -> dict[str, Any]:
    """The open_clip model configuration that `config` stands for.

    Raises:
        ConfigError: open_clip knows no such model, or it is not a ConvNeXt with CLIP's own text tower.
    """
    definition = config.definition
    if definition is None and config.name in open_clip.list_models():  # others are addresses to it: hf-hub:, local-dir:
        definition = open_clip.get_model_config(config.name)
    if definition is None:
        raise ConfigError(
            f"open_clip has no model {config.name!r}; name one of open_clip.list_models() or give clip.definition"
        )
    trunk_name = str(definition.get("vision_cfg", {}).get("timm_model_name", ""))
    text = definition.get("text_cfg", {})
    if trunk_name not in TRUNKS or text.get("hf_model_name") or definition.get("custom_text"):
        raise ConfigError(
            f"CLIP {config.name!r} has vision tower {trunk_name or 'ViT/ResNet'!r}; SSA needs a timm ConvNeXt "
            f"and CLIP's own text tower, such as convnext_base_w or convnext_large_d_320"
        )
    return definition


def context_length(config: ClipConfig) -> int:
    """Tokens that the text tower takes, those of beginning and end included; see `clip_definition` for the errors."""
    return int(clip_definition(config)["text_cfg"].get("context_length", _CONTEXT_LENGTH))


def build_clip(config: ClipConfig) -> CLIP:
    """Build the CLIP with fresh random weights; nothing is downloaded.

    Raises:
        ConfigError: The definition is not one that open_clip can build.
    """
    definition = clip_definition(config)
    try:
        vision = {**definition["vision_cfg"], "timm_model_pretrained": False}
        quick_gelu = bool(definition.get("quick_gelu", False))
        clip = CLIP(definition["embed_dim"], vision, definition["text_cfg"], quick_gelu)
    except (KeyError, TypeError, ValueError, RuntimeError, AssertionError) as error:
        raise ConfigError(
            f"open_clip cannot build CLIP {config.name!r} from its definition ({type(error).__name__}: {error})"
        ) from error
    return clip.eval().requires_grad_(False)


def causal_mask(context_length: int) -> Tensor:
    """The text tower's additive attention mask, `(context_length, context_length)` float32; no checkpoint holds it."""
    return torch.full((context_length, context_length), float("-inf")).triu_(1)


def trunk_channels(clip: CLIP) -> tuple[int, ...]:
    """Channels of the four trunk stages."""
    return tuple(int(info["num_chs"]) for info in clip.visual.trunk.feature_info)


def trunk_stages(clip: CLIP) -> tuple[nn.Module, nn.ModuleList]:
    """Stem (stride 4) and the four stages (strides 4, 8, 16, 32) of the trunk."""
    return clip.visual.trunk.stem, clip.visual.trunk.stages


def tokenize(prompts: Sequence[str], context_length: int) -> Tensor:
    """CLIP's byte-pair tokens, `(B, context_length)` int64, zero-padded; long sentences are cut."""
    tokens: Tensor = open_clip.tokenize(list(prompts), context_length=context_length)
    return tokens


def cut_off(prompt: str, context_length: int) -> str | None:
    """What to say of a sentence that is longer than CLIP reads; None if all of it is read.

    Args:
        prompt: The sentence.
        context_length: Tokens that the text tower takes, those of beginning and end included.
    """
    longest = len(prompt.encode()) + _MARKS  # no token is less than a byte
    if longest <= context_length:
        return None
    ids = open_clip.tokenize(prompt, context_length=longest)[0]
    count, read = int(ids.argmax()) + 1 - _MARKS, context_length - _MARKS
    if count <= read:
        return None
    end = open_clip.decode(ids[1 : 1 + read]).strip()[-_SHOWN_CHARACTERS:]
    return f"it has {count} of CLIP's tokens, and the first {read} are read, up to '...{end}'; say it in fewer words"


def encode_text(clip: CLIP, tokens: Tensor, num_words: int) -> TextFeatures:
    """Run the text tower.

    Args:
        clip: The model.
        tokens: `(B, 77)` int64.
        num_words: Number of leading token positions kept as word features.
    Source: CLIP (Radford et al. 2021). The mask is "id is not 0", so a genuine id 0 counts as padding.
    """
    dtype = clip.text_projection.dtype
    x = clip.token_embedding(tokens).to(dtype) + clip.positional_embedding.to(dtype)
    x = clip.ln_final(clip.transformer(x, attn_mask=clip.attn_mask)) @ clip.text_projection  # (B, 77, E)
    end = tokens.argmax(dim=-1)[:, None, None].expand(-1, 1, x.shape[-1])
    return TextFeatures(
        tokens=tokens,
        words=x[:, :num_words],
        mask=tokens[:, :num_words] != 0,
        sentence=x.gather(1, end)[:, 0],
    )
