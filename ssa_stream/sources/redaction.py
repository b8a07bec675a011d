"""Take user names, passwords and tokens out of addresses before anybody reads them."""

import re

__all__ = ["redact"]

# A password may hold a slash that nobody escaped: after `user:` everything up to the last @ goes, rather one word of a
# path too many than one of a password.
_USER_INFO = re.compile(r"(?<=://)(?:[^/?#\s:]*:[^\s'\"<>]*@|[^/?#\s]*@)")
_SECRET_FIELD = re.compile(
    r"((?:user(?:name)?|login|pass(?:word|wd)?|pwd|token|secret|(?:api_?)?key|auth|sig(?:nature)?)=)[^&/#\s]*",
    re.IGNORECASE,
)


def redact(text: str) -> str:
    """Replace credentials in every address inside `text` by `***`.

    Covers `scheme://user:password@host` and fields such as `password=...` or `token=...` in path or query.
    """
    return _SECRET_FIELD.sub(r"\1***", _USER_INFO.sub("***@", text))
