"""Annotation files of A2D-Sentences: the masks of a frame's instances in HDF5, from anywhere, within limits.

HDF5 can name other files in four ways: external and soft links, external storage, virtual data sets. All are refused,
and so is what is too large, before any of it is read.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
import numpy.typing as npt

from ssa_stream.errors import ConfigError
from ssa_stream.files import open_ordinary
from ssa_stream.picture_limits import USUAL_LIMITS
from ssa_stream.texts import brief, encodable

__all__ = ["read_instance_ids", "read_instance_mask"]

_MOST_FILE_BYTES: Final = 256 * 2**20
_MOST_ARRAY_BYTES: Final = 512 * 2**20
"""Of an array, and of the parts that it is stored in, as each is read whole."""
_MOST_INSTANCES: Final = 1000


def read_instance_ids(path: Path) -> tuple[int, ...]:
    """The ids of a frame's instances, in the order of their masks, which is any.

    Raises:
        ConfigError: The file is missing, broken or not of the format.
    """
    with _opened(path) as file:
        return _ids(file, path)


def read_instance_mask(path: Path, instance: int) -> npt.NDArray[np.bool_]:
    """The mask of one instance; it is stored transposed, and without the first axis where it is alone.

    Returns:
        `(H, W)` bool.
    Raises:
        ConfigError: The file is missing, broken or not of the format, or has no such instance.
    """
    with _opened(path) as file:
        ids = _ids(file, path)
        if instance not in ids:
            raise ConfigError(f"{path} has no instance {instance}; it has {', '.join(map(str, ids))}")
        row = ids.index(instance)
        masks = _stored(file, "reMask", path)
        if masks.ndim not in (2, 3) or masks.dtype.kind not in "uib" or masks.dtype.itemsize != 1:
            raise ConfigError(f"{path}: reMask is {masks.dtype} {masks.shape}; expected uint8 (N, W, H) or (W, H)")
        width, height = masks.shape[-2:]
        problem = USUAL_LIMITS.problem(width, height)
        if problem is not None or not (width and height):
            raise ConfigError(f"{path}: reMask has {problem or 'no pixels'}; expected the size of a frame")
        if row >= (masks.shape[0] if masks.ndim == 3 else 1):
            raise ConfigError(f"{path}: reMask is {masks.shape}; expected a mask for each of {len(ids)} instances")
        _expect_to_fit(masks, path)
        stored = masks[row] if masks.ndim == 3 else masks[()]
        return np.ascontiguousarray(np.asarray(stored).T != 0)


def _ids(file: h5py.File, path: Path) -> tuple[int, ...]:
    stored = _stored(file, "instance", path)
    if stored.dtype.kind not in "uif" or not 1 <= stored.size <= _MOST_INSTANCES or stored.size != max(stored.shape):
        raise ConfigError(f"{path}: instance is {stored.dtype} {stored.shape}; expected (N,) whole numbers")
    _expect_to_fit(stored, path)
    values = np.asarray(stored[()]).ravel()
    if not np.all(np.isfinite(values)) or np.any(values != np.round(values)):
        raise ConfigError(f"{path}: instance is {brief(values.tolist())}; expected whole numbers")
    return tuple(int(value) for value in values)


def _expect_to_fit(stored: h5py.Dataset, path: Path) -> None:
    """Refuse an array that takes too much memory, or of which any part does; ConfigError names it."""
    size = max(math.prod(shape) for shape in (stored.shape, stored.chunks or ())) * stored.dtype.itemsize
    if size > _MOST_ARRAY_BYTES:
        raise ConfigError(
            f"{path}: {stored.name.removeprefix('/')} takes {size:,} bytes; expected at most {_MOST_ARRAY_BYTES:,}"
        )


def _stored(file: h5py.File, name: str, path: Path) -> h5py.Dataset:
    """An array of the file that lies in the file itself; nothing of it is read.

    Raises:
        ConfigError: There is none.
    """
    link = file.get(name, getlink=True) if name in file or name in list(file) else None
    if link is None:
        raise ConfigError(f"{path} has no {name}; expected an annotation file of A2D-Sentences")
    if not isinstance(link, h5py.HardLink):
        raise ConfigError(f"{path}: {name} leads elsewhere; expected an array in this file")
    stored = file.get(name)
    if not isinstance(stored, h5py.Dataset) or not isinstance(stored.shape, tuple) or not stored.shape:
        raise ConfigError(f"{path}: {name} is no array")
    if stored.external or stored.is_virtual:
        raise ConfigError(f"{path}: {name} lies in other files; expected an array in this file")
    return stored


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with open_ordinary(path) as file:
            if file.seek(0, 2) > _MOST_FILE_BYTES:
                raise ConfigError(f"{path} has more than {_MOST_FILE_BYTES:,} bytes; expected the masks of one frame")
            file.seek(0)
            with h5py.File(file, "r") as opened:
                yield opened
    except FileNotFoundError as error:
        raise ConfigError(f"{path} is missing; expected the masks of a frame") from error
    except ConfigError:
        raise
    except Exception as error:  # h5py turns what the C library says into many kinds
        raise ConfigError(f"{path} cannot be read as HDF5: {encodable(str(error))}") from error
