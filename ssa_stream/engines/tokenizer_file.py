"""CLIP's tokenizer as a file, for programs without torch and open_clip."""

from typing import Any

from open_clip.tokenizer import SimpleTokenizer

__all__ = ["tokenizer_file"]

_WORD_END = "</w>"


def tokenizer_file(context_length: int) -> dict[str, Any]:
    """The content of a `tokenizer.json`, which the library `tokenizers` reads (Python, Rust, JavaScript and others).

    It gives the same ids as `open_clip.tokenize`, begin and end tokens, padding with 0 and cutting included. Only what
    open_clip repairs beforehand is not in it: HTML entities, and text that was decoded with a wrong encoding.

    Args:
        context_length: Tokens of a sentence, those of beginning and end included.
    """
    own = SimpleTokenizer()
    begin, end = own.all_special_ids
    first, last = own.decoder[begin], own.decoder[end]
    # Padding is id 0, which is a letter to CLIP, too; `tokenizers` wants to know what it stands for.
    padding = own.decoder[0]
    return {
        "version": "1.0",
        "truncation": {"max_length": context_length, "strategy": "LongestFirst", "stride": 0, "direction": "Right"},
        "padding": {
            "strategy": {"Fixed": context_length},
            "direction": "Right",
            "pad_to_multiple_of": None,
            "pad_id": 0,
            "pad_type_id": 0,
            "pad_token": padding,
        },
        "added_tokens": [_special(begin, first), _special(end, last)],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "NFC"},
                {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "},
                {"type": "Strip", "strip_left": True, "strip_right": True},
                {"type": "Lowercase"},
            ],
        },
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {
                    "type": "Split",
                    "pattern": {"Regex": r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"},
                    "behavior": "Removed",
                    "invert": True,
                },
                {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False},
            ],
        },
        "post_processor": {
            "type": "RobertaProcessing",
            "sep": [last, end],
            "cls": [first, begin],
            "trim_offsets": False,
            "add_prefix_space": False,
        },
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": last,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": _WORD_END,
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": own.encoder,
            "merges": [" ".join(pair) for pair in own.bpe_ranks],
        },
    }


def _special(token: int, text: str) -> dict[str, Any]:
    return {
        "id": token,
        "content": text,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": True,
    }
