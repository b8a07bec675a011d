"""What the header of our weight file says, written and read. Loads no torch."""

import json
import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from safetensors import SafetensorError, safe_open

from ssa_stream import __version__
from ssa_stream.checkpoints.header import check_header
from ssa_stream.checkpoints.reference_keys import CLIP_PREFIX, CRITERION_KEYS
from ssa_stream.errors import CheckpointError, ConfigError
from ssa_stream.knowledge import Knowledge
from ssa_stream.model import SsaConfig
from ssa_stream.printable import printable
from ssa_stream.strict_json import parse_json
from ssa_stream.texts import brief
from ssa_stream.weight_files import located

__all__ = [
    "CLIP_WAYS",
    "FORMAT",
    "FORMAT_VERSION",
    "CheckpointInfo",
    "expect_trained",
    "metadata_of",
    "opened_file",
    "parse_header",
    "read_info",
]

FORMAT = "ssa_stream"
FORMAT_VERSION = 1
"""Goes up when older readers would misread a file; a field more in the metadata does not count."""

CLIP_WAYS = (
    "Give them in one of three ways: "
    "--clip FILE with open_clip's own weight file (.pt, .bin or .safetensors); "
    "--clip CHECKPOINT with an ssa_stream checkpoint that contains them; "
    "or --download-clip [TAG], which lets open_clip download them."
)
_VERSION = re.compile(r"[0-9]{1,4}")
_MOST_CHARACTERS = 10_000
"""Of a note, and of the name of a program."""


@dataclass(frozen=True)
class CheckpointInfo:
    """What a checkpoint says of itself.

    Attributes:
        path: The file.
        config: The network.
        format_version: Version of the file format.
        created_by: Program and version that wrote the file.
        contains_clip: Whether the frozen CLIP's weights are inside.
        is_trained: Whether it is a network, and not only a start for training.
        notes: Free-form, by heading.
        size_bytes: Size of the file.
        shapes: Shape of each tensor by name.
        dtypes: Number of values by type of number, such as `F32`.
        parameters: Number of parameters by part of the network, such as `clip`; loss buffers are no parameters.
        knowledge: What it knows; None if its metadata does not say. See `ssa_stream.knowledge.knowledge_of`, too.
    """

    path: Path
    config: SsaConfig
    format_version: int
    created_by: str
    contains_clip: bool
    is_trained: bool
    notes: Mapping[str, str]
    size_bytes: int
    shapes: Mapping[str, tuple[int, ...]]
    dtypes: Mapping[str, int]
    parameters: Mapping[str, int]
    knowledge: Knowledge | None = None


def read_info(path: str | Path) -> CheckpointInfo:
    """Read what a checkpoint says of itself; no tensor is loaded.

    Args:
        path: The file, or the name of a shipped checkpoint.
    Raises:
        CheckpointError: Not a whole safetensors file, not ours, or of a newer format.
    """
    path = located(path)
    with opened_file(path, "numpy") as file:
        slices = {key: file.get_slice(key) for key in file.keys()}
        layout = {key: (tuple(part.get_shape()), str(part.get_dtype())) for key, part in slices.items()}
        return parse_header(path, file.metadata() or {}, layout)


def expect_trained(info: CheckpointInfo) -> None:
    """Refuse a start for training.

    Raises:
        CheckpointError: It is one.
    """
    if not info.is_trained:
        raise CheckpointError(
            f"{info.path} is a start for training, not a trained network: parts of it are random. Train it first: "
            "ssa-stream train CONFIG --init FILE --out FOLDER"
        )


def opened_file(path: Path, framework: Literal["numpy", "pt"]) -> Any:
    """Open a safetensors file; tensors are read, not mapped: a mapped file that is cut short kills the process.

    Args:
        path: The file.
        framework: Whose tensors it gives; `pt` loads torch.
    Raises:
        CheckpointError: Not a whole safetensors file.
    """
    try:
        check_header(path)
        return safe_open(path, framework=framework, backend="pread")
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} is not a whole safetensors file ({error}); if it is a checkpoint of the reference "
            f"implementation, turn it into one first: ssa-stream checkpoint import {path.name} --model ... -o ..."
        ) from error


def metadata_of(
    config: SsaConfig,
    contains_clip: bool,
    notes: Mapping[str, str],
    knowledge: Knowledge | None = None,
    *,
    is_trained: bool = True,
) -> dict[str, str]:
    r"""Metadata of a new file; the format allows strings only.

    Hidden characters in notes are written out, such as `\x1b`: training is not lost for the name of a file, and no
    terminal is commanded by a note.
    """
    known = {} if knowledge is None or knowledge.domain is None else {"knowledge": knowledge.to_json()}
    return {
        **known,
        "format": FORMAT,
        "format_version": str(FORMAT_VERSION),
        "model": config.name,
        "config": json.dumps(config.to_mapping(), sort_keys=True),
        "contains_clip": json.dumps(contains_clip),
        **({} if is_trained else {"trained": "false"}),
        "created_by": f"ssa_stream {__version__}",
        "notes": json.dumps(
            {printable(key): printable(note) for key, note in notes.items()}, ensure_ascii=False, sort_keys=True
        ),
    }


def parse_header(
    path: Path, metadata: Mapping[str, str], layout: Mapping[str, tuple[tuple[int, ...], str]]
) -> CheckpointInfo:
    """Understand a file's header.

    Args:
        path: The file, for messages and its size.
        metadata: Its metadata.
        layout: Shape and type of each tensor.
    Raises:
        CheckpointError: Not ours, of a newer format, or with metadata that does not hold together.
    """
    if metadata.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} is a safetensors file, but not a checkpoint of ssa_stream (its metadata has no format "
            f"{FORMAT!r}); CLIP weights go to --clip, checkpoints of the reference to: ssa-stream checkpoint import"
        )
    version = metadata.get("format_version", "")
    if not _VERSION.fullmatch(version) or int(version) > FORMAT_VERSION:
        raise CheckpointError(
            f"{path} has format version {brief(version)}; this program reads up to {FORMAT_VERSION}: update ssa_stream"
        )
    try:
        config = SsaConfig.from_mapping(parse_json(metadata["config"]))
        notes = _notes(parse_json(metadata.get("notes", "{}")))
        said = metadata.get("knowledge")
        knowledge = None if said is None else Knowledge.parse(path.name, said)
    except KeyError as error:
        raise CheckpointError(f"{path}: its metadata has no {error}; expected the network's configuration") from error
    except (ConfigError, ValueError) as error:
        raise CheckpointError(f"{path}: its metadata cannot be understood ({error})") from error
    parameters: Counter[str] = Counter()
    dtypes: Counter[str] = Counter()
    for key, (shape, dtype) in layout.items():
        count = math.prod(shape)
        dtypes[dtype] += count
        if key not in CRITERION_KEYS:
            parameters[key.partition(".")[0]] += count
    return CheckpointInfo(
        path=path,
        config=config,
        format_version=int(version),
        created_by=metadata.get("created_by", "unknown")[:_MOST_CHARACTERS],
        contains_clip=any(key.startswith(CLIP_PREFIX) for key in layout),
        is_trained=metadata.get("trained") != "false",
        notes=notes,
        size_bytes=path.stat().st_size,
        shapes={key: shape for key, (shape, _) in layout.items()},
        dtypes=dict(dtypes),
        parameters=dict(parameters),
        knowledge=knowledge,
    )


def _notes(content: object) -> dict[str, str]:
    """Notes by heading.

    Raises:
        ValueError: They are something else, or of hostile length.
    """
    if not isinstance(content, dict) or not all(isinstance(text, str) for text in content.values()):
        raise ValueError(f"notes are {brief(content)}; expected texts by heading")
    if any(len(part) > _MOST_CHARACTERS for note in content.items() for part in note):
        raise ValueError(f"a note has more than {_MOST_CHARACTERS} characters")
    return content
