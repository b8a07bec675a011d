r"""Text from outside, made fit to be shown: what a terminal would obey, or an eye would not see, becomes an escape.

A terminal obeys control characters in whatever is written to it: they set its title, fill the clipboard, move the
cursor, clear the screen. Characters that turn the direction of writing, or have no width, let a text look like another
one. Prompts, ids and the notes of weight files may not hold such characters; texts that cannot be refused (of cameras,
servers, files, other machines) are shown with them written out, such as `\x1b`.
"""

import re

__all__ = ["hidden_characters", "json_escaped", "printable", "printable_lines"]

# Joiners (U+200C, U+200D) and marks of direction (U+061C, U+200E, U+200F) are not among them: honest texts, in Persian
# and Hindi and with composed emoji, need them, and they change no more than their neighbours.
_CONTROL = r"\x00-\x1f\x7f-\x9f"
_LINE_ENDS = r"\u2028\u2029"
_DIRECTION = r"\u202a-\u202e\u2066-\u2069"
_NO_WIDTH = r"\xad\u180e\u200b\u2060-\u2065\u206a-\u206f\ufeff\ufff9-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
_TAGS = r"\U000e0000-\U000e007f"
_HALF_CHARACTERS = r"\ud800-\udfff"
_OF_OTHERS = _LINE_ENDS + _DIRECTION + _NO_WIDTH + _TAGS + _HALF_CHARACTERS
_HIDDEN = re.compile(f"[{_CONTROL}{_OF_OTHERS}]")
_HIDDEN_IN_LINES = re.compile(rf"[\x00-\x08\x0b-\x1f\x7f-\x9f{_OF_OTHERS}]")


def printable(text: str) -> str:
    """A text in one line, with everything in it visible.

    A text without hidden characters is returned as it is. Half a character (a lone surrogate, as Python makes of a file
    name that is no UTF-8) counts as hidden, so that the answer can always be encoded as UTF-8.
    """
    return _HIDDEN.sub(_escape, text)


def printable_lines(text: str) -> str:
    """As `printable`, for a text of several lines: its line feeds and tabs stay."""
    return _HIDDEN_IN_LINES.sub(_escape, text)


def json_escaped(text: str) -> str:
    """A JSON document that means the same and has nothing hidden in it but the line feeds and tabs between values."""
    return _HIDDEN_IN_LINES.sub(_json_escape, text)


def hidden_characters(text: str) -> str:
    r"""The hidden characters of a text, each once and written out, such as `\x1b, \u202e`; empty if it has none."""
    return ", ".join(dict.fromkeys(map(_escape, _HIDDEN.finditer(text))))


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _json_escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
