"""Masks as COCO's compressed run lengths: the only place that touches pycocotools."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssa_stream.errors import MissingExtraError

__all__ = ["coco_masks", "decode_mask", "encode_mask"]


def encode_mask(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """Return `{"size": [height, width], "counts": text}` of an `(H, W)` bool mask, ready for JSON."""
    encoded = coco_masks().encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": [int(side) for side in encoded["size"]], "counts": encoded["counts"].decode("ascii")}


def decode_mask(run_lengths: Mapping[str, Any]) -> NDArray[np.bool_]:
    """Return the `(H, W)` bool mask of run lengths in the form of `encode_mask`."""
    encoded = {"size": run_lengths["size"], "counts": run_lengths["counts"].encode("ascii")}
    with warnings.catch_warnings():
        # pycocotools 2.0 hands numpy 2 an array type without the `copy` keyword; the copy it makes then is harmless.
        warnings.simplefilter("ignore", DeprecationWarning)
        decoded = coco_masks().decode(encoded)
    return np.ascontiguousarray(decoded, dtype=np.bool_)


def coco_masks() -> Any:
    """Return `pycocotools.mask`.

    Raises:
        MissingExtraError: If it is not installed.
    """
    try:
        import pycocotools.mask
    except ImportError as error:
        raise MissingExtraError('masks as text need the engine extra: pip install "ssa_stream[engine]"') from error
    return pycocotools.mask
