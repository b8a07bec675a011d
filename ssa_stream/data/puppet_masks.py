"""The masks of JHMDB: `puppet_mask.mat` of a video, from anywhere, within limits."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt
from scipy.io import loadmat, whosmat

from ssa_stream.data.reading import expect_to_fit
from ssa_stream.errors import ConfigError
from ssa_stream.files import open_ordinary
from ssa_stream.picture_limits import USUAL_LIMITS
from ssa_stream.texts import encodable

__all__ = ["puppet_mask_shape", "read_puppet_masks"]

_MOST_FILE_BYTES: Final = 64 * 2**20
_NAME: Final = "part_mask"
_CLASSES: Final = ("uint8", "int8", "logical")


def puppet_mask_shape(path: Path) -> tuple[int, int, int]:
    """Height, width and number of masks, from the file's head; see `read_puppet_masks`."""
    with _opened(path) as file:
        return _shape(file, path)


def read_puppet_masks(path: Path) -> npt.NDArray[np.bool_]:
    """Read the masks of all frames.

    Returns:
        `(T, H, W)` bool.
    Raises:
        ConfigError: The file is missing, broken, too large or not of the format.
    """
    with _opened(path) as file:
        height, width, length = _shape(file, path)
        file.seek(0)
        masks = loadmat(file, variable_names=[_NAME], appendmat=False)[_NAME]
        return np.ascontiguousarray(np.moveaxis(masks.reshape(height, width, length), 2, 0) != 0)


def _shape(file: BinaryIO, path: Path) -> tuple[int, int, int]:
    """What is in a file before any of it is read; MATLAB leaves out a last axis of one."""
    variables: list[tuple[str, tuple[int, ...], str]] = whosmat(file, appendmat=False)
    found = [(shape, kind) for name, shape, kind in variables if name == _NAME]
    if len(found) != 1:
        raise ConfigError(f"{path} has {len(found)} variables {_NAME}; expected one")
    shape, kind = found[0]
    if kind not in _CLASSES or len(shape) not in (2, 3) or min(shape) < 1:
        raise ConfigError(f"{path}: {_NAME} is {kind} {shape}; expected uint8 (H, W, T)")
    height, width, length = (*shape, 1)[:3]
    problem = USUAL_LIMITS.problem(width, height)
    if problem is not None:
        raise ConfigError(f"{path}: {_NAME} has {problem}")
    expect_to_fit((height, width, length), f"masks of {path}")
    return height, width, length


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with warnings.catch_warnings(action="ignore"), open_ordinary(path) as file:
            if file.seek(0, 2) > _MOST_FILE_BYTES:
                raise ConfigError(f"{path} has more than {_MOST_FILE_BYTES:,} bytes; expected the masks of one video")
            file.seek(0)
            yield file
    except FileNotFoundError as error:
        raise ConfigError(f"{path} is missing; expected the masks of a video") from error
    except NotImplementedError as error:  # what scipy says of MATLAB's HDF5 form
        raise ConfigError(f"{path} is of MATLAB 7.3; save it again with -v7, as the published files are") from error
    except ConfigError:
        raise
    except Exception as error:  # scipy has no error of its own for data that makes no sense
        raise ConfigError(f"{path} cannot be read as a MATLAB file: {encodable(str(error))}") from error
