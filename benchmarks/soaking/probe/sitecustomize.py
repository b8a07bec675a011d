"""Loaded by every Python process of a graph that is soaked: writes what the process holds when it is asked.

The folder named by SOAK_PROBE is looked at a few times a second. For a file `N.ask` in it, `N-PID.json` is written: how
many objects of each type the garbage collector knows, what glibc's allocator holds, and, if SOAK_TRACE is set, where
memory was allocated in Python. Standard library only, and nothing is loaded that the process does not load anyway.
"""

import collections
import ctypes
import gc
import json
import os
import re
import threading
import time
import tracemalloc
from pathlib import Path

_LOOK_S = 0.25
_MOST_TYPES, _MOST_PLACES = 1000, 500
_FRAMES = 6


def _answer_when_asked(folder: Path) -> None:
    answered: set[str] = set()
    while True:
        for asked in sorted(folder.glob("*.ask")):
            if asked.stem not in answered:
                answered.add(asked.stem)
                written = folder / f"{asked.stem}-{os.getpid()}.new"
                written.write_text(json.dumps(_holdings()), encoding="utf-8")
                written.rename(written.with_suffix(".json"))
        time.sleep(_LOOK_S)


def _holdings() -> dict[str, object]:
    types = collections.Counter(map(type, gc.get_objects()))
    named = {f"{one.__module__}.{one.__qualname__}": count for one, count in types.most_common(_MOST_TYPES)}
    return {"types": named, "collections": gc.get_stats()[-1]["collections"], "places": _places()} | _allocator()


def _allocator() -> dict[str, int]:
    """Bytes that glibc's allocator has, for small blocks, free and for large ones, and the number of its arenas."""
    libc, buffer, size = ctypes.CDLL(None), ctypes.c_char_p(), ctypes.c_size_t()
    libc.open_memstream.restype = ctypes.c_void_p
    file = ctypes.c_void_p(libc.open_memstream(ctypes.byref(buffer), ctypes.byref(size)))
    libc.malloc_info(0, file)
    libc.fclose(file)
    text = (buffer.value or b"").decode()
    libc.free(buffer)
    whole = text[text.rindex("</heap>") :]
    free = re.findall(r'<total type="(?:fast|rest)" count="\d+" size="(\d+)"', whole)
    mapped = re.findall(r'<total type="mmap" count="\d+" size="(\d+)"', whole)
    system = re.findall(r'<system type="current" size="(\d+)"', whole)
    return {
        "arenas": text.count("<heap nr="),
        "allocator_bytes": sum(map(int, system)),
        "free_bytes": sum(map(int, free)),
        "mapped_bytes": sum(map(int, mapped)),
    }


def _places() -> dict[str, int]:
    """Bytes by place, the caller of the caller first."""
    if not tracemalloc.is_tracing():
        return {}
    found = tracemalloc.take_snapshot().statistics("traceback")[:_MOST_PLACES]
    return {" > ".join(f"{frame.filename}:{frame.lineno}" for frame in one.traceback): one.size for one in found}


if (_folder := os.environ.get("SOAK_PROBE")) is not None:
    if os.environ.get("SOAK_TRACE"):
        tracemalloc.start(_FRAMES)
    threading.Thread(target=_answer_when_asked, args=(Path(_folder),), name="soak probe", daemon=True).start()
