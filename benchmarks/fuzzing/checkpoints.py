"""Hostile weight files: our own, torch's, CLIP's, saved states of streams."""

import functools
import io
import json
import random
import struct
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import torch

from benchmarks.fuzzing.mutations import break_bytes, break_values, hostile_value, misplace, nested, outcome
from ssa_stream.checkpoints import import_reference, load_checkpoint, read_clip, read_info, save_checkpoint
from ssa_stream.checkpoints.reference import to_reference
from ssa_stream.configs import load_config
from ssa_stream.model import SSA, SsaConfig
from ssa_stream.streaming import SessionState
from ssa_stream.streaming.decoding import DecoderState

__all__ = ["attempt", "case"]

_LENGTH = struct.Struct("<Q")


def case(chance: random.Random, folder: Path) -> Path:
    """Write one hostile file; its name says what it poses as: checkpoint, clip, reference, session or decoder."""
    kind = chance.choice(["checkpoint.safetensors"] * 4 + ["clip.safetensors", "clip.pt", "reference.pth", "session"])
    path = folder / chance.choice([kind] * 9 + ["decoder"])
    way = chance.random()
    if way < 0.04:
        misplace(chance, path)
        return path
    if path.suffix in (".pt", ".pth"):
        content = _torch_file(chance) if way < 0.6 else _good_torch()
    else:
        content = _safetensors(chance, path.stem)
    path.write_bytes(break_bytes(chance, content) if way > 0.8 else content)
    return path


def attempt(seed: int, folder: Path) -> str:
    """Make a file and read it in full; `taken`, or `refused` with an error of the package."""
    return outcome(_read, case(random.Random(seed), folder))


def _read(path: Path) -> None:
    if path.stem == "checkpoint":
        read_info(path)
        load_checkpoint(path)
    elif path.stem == "clip":
        read_clip(path, _config())
    elif path.stem == "reference":
        state = import_reference(path, _config())
        save_checkpoint(path.with_name("imported.safetensors"), state, _config())
    elif path.is_file():
        state_type = SessionState if path.stem == "session" else DecoderState
        if path.stat().st_size < 2**24:
            state_type.from_bytes(path.read_bytes())


def _safetensors(chance: random.Random, kind: str) -> bytes:
    """A file whose header is hostile: its claims, its metadata, the configuration within."""
    good = SessionState("x").to_bytes() if kind == "session" else DecoderState().to_bytes()
    if kind in ("checkpoint", "clip"):
        good = _good_checkpoint()
    (length,) = _LENGTH.unpack(good[:8])
    header, body = json.loads(good[8 : 8 + length]), good[8 + length :]
    way = chance.random()
    if way < 0.2:
        return _LENGTH.pack(chance.choice([0, 1, length - 1, length + 1, 2**24, 2**31, 2**63, 2**64 - 1])) + good[8:]
    if way < 0.4:
        break_values(chance, header)
    elif way < 0.9:
        inner = chance.choice([key for key in header["__metadata__"] if key != "format"] or ["format"])
        header["__metadata__"][inner] = _hostile_text(chance, header["__metadata__"][inner])
    text = json.dumps(header).encode()
    if way > 0.95:
        text = text.replace(b'"__metadata__"', b'"__metadata__": {}, "__metadata__"')
    return _LENGTH.pack(len(text)) + text + body


def _hostile_text(chance: random.Random, text: str) -> str:
    """What an entry of the metadata may be turned into; most are JSON."""
    way = chance.random()
    try:
        values = json.loads(text)
    except ValueError:
        values = {}
    if way < 0.6 and isinstance(values, dict) and values:
        break_values(chance, values)
        return json.dumps(values)
    if way < 0.7:
        depth = chance.choice([100, 1000, 100_000])
        return "[" * depth + "]" * depth
    if way < 0.8:
        return json.dumps(nested(chance))
    value = hostile_value(chance)
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else json.dumps(value)


def _torch_file(chance: random.Random) -> bytes:
    """A torch file that holds something else than the right tensors, or a broken pickle in a whole archive."""
    state = {key: tensor for key, tensor in _reference_state().items()}
    key = chance.choice(list(state))
    shape = state[key].shape
    odd: list[Any] = [
        torch.zeros(1).expand(10**12),
        torch.zeros(()).expand(shape),
        torch.zeros(shape, dtype=torch.int32),
        torch.zeros(shape, dtype=torch.complex64),
        torch.zeros(shape, device="meta"),
        torch.zeros(shape).to_sparse(),
        torch.nn.Parameter(torch.zeros(shape)),
        torch.zeros(shape).numpy(),
        torch.zeros(3).numpy(),
        hostile_value(chance),
        nested(chance),
    ]
    state[key] = chance.choice(odd)
    wrapped: Any = chance.choice([state, {"model": state}, {"state_dict": state}, [state], hostile_value(chance)])
    content = io.BytesIO()
    torch.save(wrapped, content, _use_new_zipfile_serialization=chance.random() < 0.8)
    if chance.random() < 0.6 or not zipfile.is_zipfile(content):
        return content.getvalue()
    changed = io.BytesIO()
    with zipfile.ZipFile(content) as archive, zipfile.ZipFile(changed, "w", chance.choice([0, 8])) as copy:
        for name in archive.namelist():
            data = archive.read(name)
            copy.writestr(name, break_bytes(chance, data) if name.endswith("data.pkl") else data)
    return changed.getvalue()


@functools.cache
def _config() -> SsaConfig:
    values = load_config("model", "ssa-tiny")
    values["clip"]["definition"]["text_cfg"] |= {"width": 4, "heads": 1, "layers": 1}
    values["clip"]["definition"]["vision_cfg"]["timm_model_name"] = "test_convnext"
    values["clip"]["definition"]["embed_dim"] = 8
    values |= {"hidden_dim": 32, "adapter_dim": 8, "adapter_heads": 2}
    values["pixel_decoder"] |= {"num_layers": 1, "num_heads": 2, "ffn_dim": 8, "fusion_dim": 8, "fusion_heads": 2}
    values["frame_decoder"] = {"num_layers": 1, "num_heads": 2, "ffn_dim": 8}
    values["video_decoder"] = {"num_layers": 1, "num_heads": 2, "ffn_dim": 8}
    return SsaConfig.from_mapping(values)


@functools.cache
def _network() -> SSA:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return SSA(_config()).eval().requires_grad_(False)


@functools.cache
def _good_checkpoint() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "good.safetensors"
        save_checkpoint(path, _network(), _config(), dtype=torch.float16, notes={"run": "good"})
        return path.read_bytes()


@functools.cache
def _reference_state() -> dict[str, torch.Tensor]:
    return dict(to_reference(_network().state_dict(), _config()))


@functools.cache
def _good_torch() -> bytes:
    content = io.BytesIO()
    torch.save({"model": _reference_state()}, content)
    return content.getvalue()
