"""Names of the authors' checkpoint and ours: a pure, reversible renaming of state-dict keys."""

import re
from collections.abc import Iterable

__all__ = ["CLIP_PREFIX", "CRITERION_KEYS", "reference_order", "to_our_key", "to_reference_key"]

CLIP_PREFIX = "clip."
"""Of our names of the frozen CLIP's tensors."""
CRITERION_KEYS = ("criterion.empty_weight", "vita_criterion.empty_weight")
"""Class weights of the two training losses. They are in a reference checkpoint but are no part of the network."""

# Reference name, our name. `*` stands for one number; the longest reference prefix that fits is used. Rules are listed
# in the order in which the reference's state dict has them: `reference_order` goes by it.
_ADAPTER = ("backbone.stage_adapter_layers.*.", "adapters.*.")
_PIXEL = ("sem_seg_head.pixel_decoder.", "pixel_decoder.")
_ENCODER = (f"{_PIXEL[0]}transformer.encoder.layers.*.", f"{_PIXEL[1]}layers.*.")
_FUSION = (f"{_PIXEL[0]}transformer.encoder.fusion_layers.*.", f"{_PIXEL[1]}layers.*.fusion.")
_FRAME = ("sem_seg_head.predictor.", "frame_decoder.")
_VIDEO = ("vita_module.", "video_decoder.")


def _under(prefix: tuple[str, str], pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(prefix[0] + theirs, prefix[1] + ours) for theirs, ours in pairs]


_RULES: list[tuple[str, str]] = [
    ("backbone.clip_model.", CLIP_PREFIX),
    *_under(
        _ADAPTER,
        [
            ("conv1.", "visual_in."),
            ("conv2.", "visual_out."),
            ("cross_attention.multihead_attn.", "attention."),
            ("cross_attention.norm.", "norm."),
            ("linear_l.", "text_proj."),
            ("linear_v.", "query_proj."),
            ("up_v.", "output_proj."),
            ("gate.layers.0.", "gate.hidden."),
            ("gate.layers.1.", "gate.weights."),
        ],
    ),
    *_under(
        _PIXEL,
        [
            ("input_proj.", "input_proj."),
            ("transformer.level_embed", "level_embed"),
            ("mask_features.", "mask_features."),
            ("adapter_1.norm.", "lateral_norm."),
            ("adapter_1.", "lateral."),
            ("layer_1.norm.", "output_norm."),
            ("layer_1.", "output."),
        ],
    ),
    *_under(
        _ENCODER,
        [
            ("self_attn.", "deformable."),
            ("norm1.", "deformable_norm."),
            ("linear1.", "feed_forward.linear1."),
            ("linear2.", "feed_forward.linear2."),
            ("norm2.", "feed_forward.norm."),
        ],
    ),
    *_under(
        _FUSION,
        [
            ("gamma_v", "gamma_visual"),
            ("gamma_l", "gamma_text"),
            ("layer_norm_v.", "norm_visual."),
            ("layer_norm_l.", "norm_text."),
            ("attn.v_proj.", "query_proj."),
            ("attn.l_proj.", "key_proj."),
            ("attn.values_v_proj.", "visual_value_proj."),
            ("attn.values_l_proj.", "text_value_proj."),
            ("attn.out_v_proj.", "visual_out_proj."),
            ("attn.out_l_proj.", "text_out_proj."),
        ],
    ),
    *_under(
        _FRAME,
        [
            ("transformer_self_attention_layers.*.self_attn.", "layers.*.self_attention.attention."),
            ("transformer_self_attention_layers.*.norm.", "layers.*.self_attention.norm."),
            ("transformer_cross_attention_layers.*.multihead_attn.", "layers.*.image_attention.attention."),
            ("transformer_cross_attention_layers.*.norm.", "layers.*.image_attention.norm."),
            ("transformer_ffn_layers.*.", "layers.*.feed_forward."),
            ("text_cross_attention_layers.*.multihead_attn.", "layers.*.text_attention.attention."),
            ("text_cross_attention_layers.*.norm.", "layers.*.text_attention.norm."),
            ("decoder_norm.", "head.norm."),
            ("query_embed.", "query_position."),
            ("level_embed.", "level_embed."),
            ("class_embed.", "head.classifier."),
            ("mask_embed.layers.0.", "head.mask_embed.0."),
            ("mask_embed.layers.1.", "head.mask_embed.2."),
            ("mask_embed.layers.2.", "head.mask_embed.4."),
        ],
    ),
    (CRITERION_KEYS[0], CRITERION_KEYS[0]),
    *_under(
        _VIDEO,
        [
            ("fusion.*.multihead_attn.", "layers.*.text_attention.attention."),
            ("fusion.*.norm.", "layers.*.text_attention.norm."),
            ("transformer_self_attention_layers.*.self_attn.", "layers.*.self_attention.attention."),
            ("transformer_self_attention_layers.*.norm.", "layers.*.self_attention.norm."),
            ("transformer_cross_attention_layers.*.multihead_attn.", "layers.*.memory_attention.attention."),
            ("transformer_cross_attention_layers.*.norm.", "layers.*.memory_attention.norm."),
            ("transformer_ffn_layers.*.", "layers.*.feed_forward."),
            ("short_temporal.0.", "enhancer.conv1."),
            ("short_temporal.2.", "enhancer.conv2."),
            ("temporal_norm.", "enhancer.conv_norm."),
            ("long_temporal.self_attn.", "enhancer.attention."),
            ("long_temporal.norm.", "enhancer.attention_norm."),
            ("time_aware_attn.", "pooling."),
        ],
    ),
    ("vita_module.vita_mask_features.", "video_mask_features."),
    *_under(
        _VIDEO,
        [
            ("decoder_norm.", "norm."),
            ("query_embed.", "query_position."),
            ("fq_pos.", "slot_position."),
            ("input_proj_dec.", "input_proj."),
            ("class_embed.", "classifier."),
            ("mask_embed.layers.0.", "mask_embed.0."),
            ("mask_embed.layers.1.", "mask_embed.2."),
            ("mask_embed.layers.2.", "mask_embed.4."),
            ("sim_embed_frame.", "frame_similarity."),
            ("sim_embed_clip.", "video_similarity."),
        ],
    ),
    (CRITERION_KEYS[1], CRITERION_KEYS[1]),
    ("resizer.fc.", "sentence_resizer.proj."),
    ("resizer.layer_norm.", "sentence_resizer.norm."),
]


def _compile(rules: Iterable[tuple[str, str]]) -> list[tuple[re.Pattern[str], str]]:
    """Turn rules into anchored patterns, longest first."""
    ordered = sorted(rules, key=lambda rule: len(rule[0]), reverse=True)
    return [(re.compile(re.escape(a).replace(r"\*", r"(\d+)")), b.replace("*", r"\1")) for a, b in ordered]


_TO_OURS = _compile(_RULES)
_TO_REFERENCE = _compile((ours, theirs) for theirs, ours in _RULES)


def _rename(key: str, rules: list[tuple[re.Pattern[str], str]]) -> str | None:
    for pattern, replacement in rules:
        match = pattern.match(key)
        if match:
            return match.expand(replacement) + key[match.end() :]
    return None


def to_our_key(reference_key: str) -> str | None:
    """Our name of a reference key; None if no rule knows it."""
    return _rename(reference_key, _TO_OURS)


def to_reference_key(our_key: str) -> str | None:
    """The reference name of one of our keys; None if no rule knows it."""
    return _rename(our_key, _TO_REFERENCE)


class _Node:
    """A place in the tree of reference names; children in the reference's order."""

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}

    def descend(self, name: str) -> "_Node":
        return self.children.setdefault(name, _Node())

    def rank(self, name: str) -> tuple[int, "_Node"] | None:
        """Position of a child among its siblings: a number by its value, a name by first mention."""
        if name in self.children:
            return list(self.children).index(name), self.children[name]
        if name.isdigit() and "*" in self.children:
            return int(name), self.children["*"]
        return None


def _tree() -> _Node:
    root = _Node()
    for theirs, _ in _RULES:
        node = root
        for name in theirs.strip(".").split("."):
            node = node.descend(name)
    return root


_TREE = _tree()


def reference_order(reference_keys: Iterable[str]) -> list[str]:
    """Sort reference keys as the reference's state dict has them.

    Args:
        reference_keys: In the order of our modules, which decides where the rules say nothing (inside CLIP, and
            between the parameters of one layer).
    """

    def place(key: str) -> list[int]:
        node, path = _TREE, []
        for name in key.split("."):
            found = node.rank(name)
            if found is None:
                break
            position, node = found
            path.append(position)
        return path

    return sorted(reference_keys, key=place)
