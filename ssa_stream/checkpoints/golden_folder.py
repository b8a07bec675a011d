"""A golden folder: the description of a network, its tensors' names, and cases of recorded numbers.

The format is described in docs/checkpoints.md.
"""

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ssa_stream.checkpoints.golden_description import parse_description
from ssa_stream.errors import CheckpointError
from ssa_stream.model import SsaConfig

__all__ = ["GoldenCase", "GoldenFolder", "read_case", "read_folder"]


@dataclass(frozen=True)
class GoldenFolder:
    """A golden folder, cases not yet read.

    Attributes:
        path: The folder.
        config: The network, in our terms.
        stage_dims: Channels that the trunk's stages must have.
        text_dim: Width that the text features must have.
        layout: Shape of each tensor by its reference name, in the reference's order.
        chunk_size: Frames that pass the per-frame part together.
        threshold: Least probability of a selected query.
        cases: Files of the cases, by name.
        unknown_fields: Fields of `config.json` that this program does not know and does not look at.
    """

    path: Path
    config: SsaConfig
    stage_dims: tuple[int, ...]
    text_dim: int
    layout: dict[str, tuple[int, ...]]
    chunk_size: int
    threshold: float
    cases: tuple[Path, ...]
    unknown_fields: tuple[str, ...]


@dataclass(frozen=True)
class GoldenCase:
    """A recorded run of the reference.

    Attributes:
        name: The file's stem.
        frames: `(T, H, W, 3)` uint8 RGB, as they enter the network before padding.
        sentence: The prompt.
        output_size: `(height, width)` of the final masks.
        arrays: Everything recorded, by name.
    """

    name: str
    frames: NDArray[np.uint8]
    sentence: str
    output_size: tuple[int, int]
    arrays: dict[str, NDArray[Any]]


def read_folder(path: str | Path) -> GoldenFolder:
    """Read a golden folder's description.

    Raises:
        CheckpointError: Files are missing or malformed, or the network is one that ours cannot be.
    """
    path = Path(path)
    content = _read_json(path / "config.json")
    try:
        described, config, unknown = parse_description(content, path.resolve().name)
    except CheckpointError as error:
        raise CheckpointError(f"{path / 'config.json'}: {error}") from error
    cases = tuple(sorted(path.glob("*.npz")))
    if not cases:
        raise CheckpointError(f"{path} holds no case; expected at least one .npz file")
    return GoldenFolder(
        path=path,
        config=config,
        stage_dims=tuple(described.stage_dims),
        text_dim=described.text_feature_dim,
        layout=_read_layout(path / "keys.json"),
        chunk_size=described.test_run_chunk_size,
        threshold=described.output_threshold,
        cases=cases,
        unknown_fields=unknown,
    )


def read_case(path: Path) -> GoldenCase:
    """Read a case.

    Raises:
        CheckpointError: Unreadable, or its inputs are missing or of another form.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path} is not a readable .npz file ({error})") from error
    missing = [name for name in ("frames", "sentence", "height", "width") if name not in arrays]
    if missing:
        raise CheckpointError(f"{path} lacks the inputs {', '.join(missing)}")
    frames = arrays["frames"]
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or 0 in frames.shape:
        raise CheckpointError(f"{path}: frames are {frames.dtype} {frames.shape}; expected uint8 (T, H, W, 3)")
    sizes = arrays["height"], arrays["width"]
    if any(size.shape != () or not np.issubdtype(size.dtype, np.integer) or size < 1 for size in sizes):
        raise CheckpointError(f"{path}: height and width are {sizes}; expected two positive whole numbers")
    return GoldenCase(path.stem, frames, str(arrays["sentence"]), (int(sizes[0]), int(sizes[1])), arrays)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot read {path} ({error}); expected a golden folder's JSON file") from error


def _read_layout(path: Path) -> dict[str, tuple[int, ...]]:
    try:
        pairs = msgspec.convert(_read_json(path), list[tuple[str, list[int]]])
    except msgspec.ValidationError as error:
        raise CheckpointError(f"{path} is not a list of [name, shape]: {error}") from error
    return {key: tuple(shape) for key, shape in pairs}
