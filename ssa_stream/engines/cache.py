"""Where graphs are kept: a folder for the weights of each stage, in it one for each size.

    <cache>/<fingerprint>/<stage>-<width>x<height>/program.json, 0.onnx ...
                                                  /proven/<engine and processor>-<shape>.json
          /<engine and version>/<stage and shape>/ what the engine's library keeps, and digests of it

A stage's folder is made elsewhere and renamed, so that it is there whole or not at all.
"""

import errno
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import torch

from ssa_stream.engines.graphs import StageName, weights_of
from ssa_stream.engines.program import Program
from ssa_stream.files import open_ordinary, read_limited, write_whole
from ssa_stream.model import SSA

__all__ = ["CACHE_VARIABLE", "EngineCache", "KeptStage", "Proof", "StageRecord", "cache_folder", "fingerprint_of"]

CACHE_VARIABLE = "SSA_STREAM_ENGINES"
EXPORT_VERSION = 1
"""Counts up when graphs are written down in another way: older ones are not used any more."""
MOST_BYTES = 8 * 2**30
_MOST_RECORD_BYTES = 2**20
_DIGESTS = "digests.json"
_FINGERPRINT = re.compile(r"[0-9a-f]{24}")


class StageRecord(msgspec.Struct, frozen=True):
    """`program.json`: the program, and a digest of each of its graphs.

    Raises:
        ValueError: A graph has no digest, or a digest no graph.
    """

    program: Program
    digests: dict[str, str]
    network: str
    stage: str

    def __post_init__(self) -> None:
        if self.digests.keys() != self.program.files:
            raise ValueError(f"digests are of {sorted(self.digests)}; graphs are {sorted(self.program.files)}")


class ListedStage(NamedTuple):
    """A stage for people: whose, its name with the size, its room in bytes, and the engines that it is proven for."""

    network: str
    name: str
    size_bytes: int
    engines: tuple[str, ...]


class Proof(msgspec.Struct, frozen=True):
    """That an engine gave a stage's numbers: greatest deviation of each output, of its root mean square."""

    deviations: dict[str, float]


class KeptStage:
    """A stage in the cache."""

    def __init__(self, folder: Path, program: Program) -> None:
        self.folder, self.program = folder, program

    def proof_of(self, key: str) -> Proof | None:
        """What was found when it was tried; None if it never was."""
        try:
            return msgspec.json.decode(read_limited(self._proof(key), most_bytes=_MOST_RECORD_BYTES), type=Proof)
        except (OSError, msgspec.MsgspecError):
            return None

    def keep_proof(self, key: str, proof: Proof) -> None:
        """Remember it, where that can be written."""
        try:
            self._proof(key).parent.mkdir(exist_ok=True)
            write_whole(self._proof(key), msgspec.json.encode(proof), survives_power_cut=False)
        except OSError:  # a cache that is only read: it is proven again by every process
            return

    def proven(self) -> list[str]:
        """Keys of all proofs."""
        return sorted(path.stem for path in (self.folder / "proven").glob("*.json"))

    def _proof(self, key: str) -> Path:
        return self.folder / "proven" / f"{key}.json"


class EngineCache:
    """The folder.

    Args:
        root: Where it is; made when something is kept.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = cache_folder() if root is None else root

    def find(
        self, fingerprint: str, stage: StageName, size: tuple[int, int], *, whole: bool = False
    ) -> KeptStage | None:
        """A stage, if it is there and undamaged; `whole` reads all of its graphs to see that."""
        folder = self._folder(fingerprint, stage, size)
        try:
            record = msgspec.json.decode(
                read_limited(folder / "program.json", most_bytes=_MOST_RECORD_BYTES), type=StageRecord
            )
        except (OSError, msgspec.MsgspecError):
            return None
        if whole and any(_digest_of(folder / name) != digest for name, digest in record.digests.items()):
            return None
        return KeptStage(folder, record.program)

    def keep(
        self,
        fingerprint: str,
        stage: StageName,
        size: tuple[int, int],
        network: str,
        made: tuple[Program, Mapping[str, Any]],
    ) -> KeptStage:
        """Keep a stage; one that another process kept meanwhile is as good, a damaged one is replaced.

        Raises:
            OSError: The folder cannot be written, or the disk is full.
        """
        program, graphs = made
        folder = self._folder(fingerprint, stage, size)
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder.parent))
        try:
            digests = {}
            for name, graph in graphs.items():
                (partial / name).write_bytes(graph.SerializeToString())
                digests[name] = _digest_of(partial / name)
            record = StageRecord(program, digests, network, stage)
            (partial / "program.json").write_bytes(msgspec.json.encode(record))
            partial.chmod(0o755)
            if self.find(fingerprint, stage, size, whole=True) is None:
                shutil.rmtree(folder, ignore_errors=True)
                partial.rename(folder)
        except OSError:
            if self.find(fingerprint, stage, size, whole=True) is None:  # nor did another process keep it
                raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return KeptStage(folder, program)

    def check_writable(self) -> None:
        """Find out before the long work whether something can be kept.

        Raises:
            OSError: It cannot.
        """
        if self.root.exists() and not self.root.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "it is not a folder")
        self.root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".partial-", dir=self.root):
            pass

    def compiled_folder(self, fingerprint: str, engine: str, variant: str) -> Path | None:
        """Where an engine's library keeps what it made of graphs; None if that cannot be written.

        What is not as `seal_compiled` found it is removed: libraries do not look whether their files are damaged.
        """
        folder = self.root / fingerprint / engine / variant
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not os.access(folder, os.W_OK):
                return None
            digests = _digests_in(folder)
            for path in folder.iterdir():
                if path.name != _DIGESTS and digests.get(path.name) != _digest_of(path):
                    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
            return folder
        except OSError:
            return None

    def seal_compiled(self, folder: Path) -> None:
        """Remember what a library has kept in a folder, as it is now."""
        known = _digests_in(folder)
        try:
            names = {path.name for path in folder.iterdir()} - {_DIGESTS}
            if names - known.keys():
                found = {name: known.get(name) or _digest_of(folder / name) for name in names}
                write_whole(folder / _DIGESTS, msgspec.json.encode(found), survives_power_cut=False)
        except OSError:  # it is compiled again by every process
            return

    def networks(self) -> list[Path]:
        """Folders of all sets of weights, the one that was used last at the end."""
        folders = [path for path in self.root.glob("*") if path.is_dir() and _FINGERPRINT.fullmatch(path.name)]
        return sorted(folders, key=lambda path: path.stat().st_mtime)

    def stages(self) -> list["ListedStage"]:
        """All stages that are kept, by network and name."""
        found = []
        for path in self.root.glob("*/*/program.json"):
            try:
                record = msgspec.json.decode(read_limited(path, most_bytes=_MOST_RECORD_BYTES), type=StageRecord)
            except (OSError, msgspec.MsgspecError):
                continue
            engines = {"-".join(proof.split("-")[:2]) for proof in KeptStage(path.parent, record.program).proven()}
            name = path.parent.name
            found.append(ListedStage(record.network, name, size_of(path.parent), tuple(sorted(engines))))
        return sorted(found)

    def clear(self) -> int:
        """Remove everything; how many bytes that were."""
        removed = 0
        for folder in self.networks():
            removed += size_of(folder)
            shutil.rmtree(folder, ignore_errors=True)
        return removed

    def touch(self, fingerprint: str) -> None:
        """A set of weights is used now."""
        try:
            os.utime(self.root / fingerprint)
        except OSError:  # only read
            return

    def drop_oldest(self, most_bytes: int = MOST_BYTES, *, but: frozenset[str], say: Callable[[str], None]) -> None:
        """Remove what was not used for longest, until the rest is small enough.

        Args:
            most_bytes: Of the rest.
            but: Fingerprints that stay.
            say: Is told of each.
        """
        folders = self.networks()
        total = sum(map(size_of, folders))
        for folder in folders:
            if total <= most_bytes:
                return
            if folder.name not in but:
                taken = size_of(folder)
                shutil.rmtree(folder, ignore_errors=True)
                total -= taken
                say(f"engines of other weights, unused for longest, were removed: {folder} ({taken / 2**20:.0f} MiB)")

    def _folder(self, fingerprint: str, stage: StageName, size: tuple[int, int]) -> Path:
        return self.root / fingerprint / (stage if stage == "window" else f"{stage}-{size[1]}x{size[0]}")


def cache_folder() -> Path:
    """`SSA_STREAM_ENGINES`, else `ssa_stream/engines` in the user's cache (XDG base directories)."""
    if chosen := os.environ.get(CACHE_VARIABLE):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "ssa_stream" / "engines"


def fingerprint_of(network: SSA, stage: StageName) -> str:
    """Of the weights that a stage uses, their types, and how graphs are made of them."""
    digest = hashlib.sha256(f"{EXPORT_VERSION} {stage} {network.config.to_mapping()}".encode())
    for name, tensor in weights_of(network, stage):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()[:24]


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_size
            except OSError:  # removed meanwhile
                continue
    return total


def _digests_in(folder: Path) -> dict[str, str]:
    try:
        return msgspec.json.decode(read_limited(folder / _DIGESTS, most_bytes=_MOST_RECORD_BYTES), type=dict[str, str])
    except (OSError, msgspec.MsgspecError):
        return {}


def _digest_of(path: Path) -> str:
    """Of a file; empty if it is none, or cannot be read."""
    try:
        with open_ordinary(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
