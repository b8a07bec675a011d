"""What an operating system's refusal means for somebody who wanted a file."""

import errno

__all__ = ["advice"]


def advice(error: OSError | Exception) -> str:
    """Say what went wrong with writing and what to do about it."""
    match getattr(error, "errno", None):
        case errno.ENOSPC | errno.EDQUOT:
            return "the disk is full: free some space or write elsewhere; what was written so far is kept"
        case errno.EFBIG:
            return "the file would grow past the limit for one file; what was written so far is kept"
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return "writing there is not permitted: choose another folder or change its rights"
        case errno.ENOENT | errno.ENOTDIR:
            return "its folder does not exist: create it first"
        case errno.EISDIR:
            return "that is a folder: give a file name"
        case errno.EPIPE:
            return "whoever read it has gone"
        case _:
            return f"{getattr(error, 'strerror', None) or error} ({type(error).__name__})"
