"""A golden folder: a network in the reference's terms, its tensors' names, and cases of recorded numbers.

The format is described in docs/checkpoints.md.
"""

import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from ssa_stream.errors import CheckpointError
from ssa_stream.files import open_ordinary, read_limited
from ssa_stream.model import SsaConfig
from ssa_stream.model.preprocess import PIXEL_MEAN, PIXEL_STD, SIZE_DIVISOR
from ssa_stream.strict_json import parse_json
from ssa_stream.texts import brief, encodable, unencodable

__all__ = ["GoldenCase", "GoldenFolder", "read_case", "read_folder"]

_LEVELS = 3
_CLASSES = 1
_MOST_EDGE_PX = 4096
_MOST_JSON_BYTES = 16 * 2**20
_MOST_CASE_BYTES = 8 * 2**30


class _PixelEncoder(msgspec.Struct):
    layers: int
    heads: int
    points: int
    levels: int
    ffn: int
    fusion_embed_dim: int
    fusion_heads: int


class _FrameDecoder(msgspec.Struct):
    hidden: int
    heads: int
    ffn: int
    layers: int
    queries: int


class _VideoDecoder(_FrameDecoder):
    input_projection: bool


class _Description(msgspec.Struct):
    """A network in the reference's terms."""

    clip: dict[str, Any]
    clip_model_name: str
    stage_dims: list[int]
    text_feature_dim: int
    adapter_hidden_dim: int
    adapter_heads: int
    n_words: int
    pixel_mean: list[float]
    pixel_std: list[float]
    size_divisibility: int
    conv_dim: int
    mask_dim: int
    num_classes: int
    pixel_encoder: _PixelEncoder
    frame_decoder: _FrameDecoder
    video_decoder: _VideoDecoder
    test_run_chunk_size: int
    test_interpolate_chunk_size: int
    output_threshold: float


def _parse_description(content: Any, name: str) -> tuple[_Description, SsaConfig, tuple[str, ...]]:
    """Understand a description.

    Args:
        content: The decoded JSON.
        name: Name of the resulting configuration.
    Returns:
        The description, the network in our terms, and the names of fields that are not known here.
    Raises:
        CheckpointError: A field is missing or of another type, or the network is one that ours cannot be.
    """
    try:
        described = msgspec.convert(content, _Description)
    except (msgspec.ValidationError, RecursionError) as error:
        raise CheckpointError(f"it is not a golden description: {error}") from error
    _check(described)
    try:
        return described, _config(described, name), tuple(_unknown(content, _Description))
    except ValueError as error:
        raise CheckpointError(str(error)) from error


def _unknown(content: dict[str, Any], kind: type[msgspec.Struct], prefix: str = "") -> list[str]:
    """Names of the fields that a description has beyond those of its class."""
    fields = {field.name: field.type for field in msgspec.structs.fields(kind)}
    found = [prefix + name for name in content if name not in fields]
    for name, inner in fields.items():
        if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
            found += _unknown(content[name], inner, f"{name}.")
    return found


def _check(described: _Description) -> None:
    """Raise where the description asks for what our network is not."""
    width = described.conv_dim
    frame, video = described.frame_decoder, described.video_decoder
    for what, came, expected in (
        ("mask_dim", described.mask_dim, width),
        ("frame_decoder.hidden", frame.hidden, width),
        ("video_decoder.hidden", video.hidden, width),
        ("video_decoder.queries", video.queries, frame.queries),
        ("pixel_encoder.levels", described.pixel_encoder.levels, _LEVELS),
        ("num_classes", described.num_classes, _CLASSES),
        ("size_divisibility", described.size_divisibility, SIZE_DIVISOR),
        ("pixel_mean", tuple(described.pixel_mean), PIXEL_MEAN),
        ("pixel_std", tuple(described.pixel_std), PIXEL_STD),
        ("number of stage_dims", len(described.stage_dims), 4),
    ):
        if came != expected and not _close(came, expected):
            raise CheckpointError(f"{what} is {came}; this network can only have {expected}")
    for what, count in (
        ("test_run_chunk_size", described.test_run_chunk_size),
        ("test_interpolate_chunk_size", described.test_interpolate_chunk_size),
    ):
        if count < 1:
            raise CheckpointError(f"{what} is {count}; expected at least 1")
    if not 0 <= described.output_threshold < 1:
        raise CheckpointError(f"output_threshold is {described.output_threshold}; expected 0 to 1")


def _close(came: object, expected: object) -> bool:
    """Whether two colours agree up to the digits that a JSON file keeps."""
    if not isinstance(came, tuple) or not isinstance(expected, tuple) or len(came) != len(expected):
        return False
    return all(math.isclose(a, b, rel_tol=1e-6) for a, b in zip(came, expected, strict=True))


def _config(described: _Description, name: str) -> SsaConfig:
    """The same network in our terms."""
    pixel, frame, video = described.pixel_encoder, described.frame_decoder, described.video_decoder
    return SsaConfig.from_mapping(
        {
            "name": name,
            "clip": {"name": described.clip_model_name, "definition": described.clip, "num_words": described.n_words},
            "hidden_dim": described.conv_dim,
            "num_queries": frame.queries,
            "adapter_dim": described.adapter_hidden_dim,
            "adapter_heads": described.adapter_heads,
            "pixel_decoder": {
                "num_layers": pixel.layers,
                "num_heads": pixel.heads,
                "num_points": pixel.points,
                "ffn_dim": pixel.ffn,
                "fusion_dim": pixel.fusion_embed_dim,
                "fusion_heads": pixel.fusion_heads,
            },
            "frame_decoder": {"num_layers": frame.layers, "num_heads": frame.heads, "ffn_dim": frame.ffn},
            "video_decoder": {
                "num_layers": video.layers,
                "num_heads": video.heads,
                "ffn_dim": video.ffn,
                "has_input_projection": video.input_projection,
            },
        }
    )


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
        described, config, unknown = _parse_description(content, encodable(path.resolve().name)[:100] or "golden")
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
        with open_ordinary(path) as opened:
            _check_size(opened)
            with np.load(opened, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
    except Exception as error:  # zip, deflate, numpy's headers: each has errors of its own for a broken file
        raise CheckpointError(f"{path} is not a readable .npz file ({brief(str(error))})") from error
    missing = [name for name in ("frames", "sentence", "height", "width") if name not in arrays]
    if missing:
        raise CheckpointError(f"{path} lacks the inputs {', '.join(missing)}")
    frames = arrays["frames"]
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or 0 in frames.shape:
        raise CheckpointError(f"{path}: frames are {frames.dtype} {frames.shape}; expected uint8 (T, H, W, 3)")
    sizes = arrays["height"], arrays["width"]
    if any(size.shape != () or not np.issubdtype(size.dtype, np.integer) for size in sizes) or not all(
        1 <= size <= _MOST_EDGE_PX for size in (*sizes, *frames.shape[1:3])
    ):
        raise CheckpointError(
            f"{path}: height and width are {brief(sizes)}, frames {frames.shape}; expected positive whole "
            f"numbers up to {_MOST_EDGE_PX}"
        )
    if odd := [name for name, array in arrays.items() if array.dtype.kind not in "biuf" and name != "sentence"]:
        raise CheckpointError(f"{path}: {brief(odd[0])} is {arrays[odd[0]].dtype}; expected numbers")
    sentence = arrays["sentence"]
    if sentence.shape != () or sentence.dtype.kind != "U" or unencodable(str(sentence)) is not None:
        raise CheckpointError(f"{path}: sentence is {sentence.dtype} {sentence.shape}; expected one text")
    return GoldenCase(path.stem, frames, str(sentence), (int(sizes[0]), int(sizes[1])), arrays)


def _check_size(file: BinaryIO) -> None:
    """Refuse an archive whose arrays do not fit into memory.

    Raises:
        ValueError: They do not.
        zipfile.BadZipFile: It is no archive.
    """
    with zipfile.ZipFile(file) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    if size > _MOST_CASE_BYTES:
        raise ValueError(f"its arrays have {size:,} bytes; expected at most {_MOST_CASE_BYTES:,}")
    file.seek(0)


def _read_json(path: Path) -> Any:
    try:
        return parse_json(read_limited(path, most_bytes=_MOST_JSON_BYTES))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot read {path} ({error}); expected a golden folder's JSON file") from error


def _read_layout(path: Path) -> dict[str, tuple[int, ...]]:
    try:
        pairs = msgspec.convert(_read_json(path), list[tuple[str, list[int]]])
    except msgspec.ValidationError as error:
        raise CheckpointError(f"{path} is not a list of [name, shape]: {error}") from error
    return {key: tuple(shape) for key, shape in pairs}
