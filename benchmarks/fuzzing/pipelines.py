"""Hostile YAML: pipelines, models, training recipes."""

import json
import random
from pathlib import Path
from typing import Any

import yaml

from benchmarks.fuzzing.mutations import HOSTILE_TEXTS, break_bytes, break_values, misplace, outcome
from ssa_stream.configs import load_config
from ssa_stream.nodes.pipeline import PipelineConfig, check_pipeline_files, load_pipeline, save_pipeline
from ssa_stream.outputs import NamedPath

__all__ = ["attempt", "case"]

_FULL = {
    "streams": {
        "cam0": {
            "source": "synthetic",
            "prompts": ["the red circle"],
            "changes": [{"at_s": 1.5, "prompts": {"blue": "the blue square"}}],
            "outputs": ["overlay.mp4"],
        }
    },
    "decoder": {"checkpoint": "states", "checkpoint_every_s": 2.0},
    "workers": {"encoder": 2, "queries": 1},
}

_TAGS = ("int", "float", "bool", "timestamp", "binary", "set", "omap", "pairs", "null")
_ODD_VALUES = ("2026-02-30", "12:60:60", "0b2", "0o9", ".inf", "1" * 5000, "!!int x", "~", '"\\ud800"')


def case(chance: random.Random, folder: Path) -> Path:
    """Write one hostile YAML file; its name says what it poses as: pipeline, model or train."""
    kind = chance.choice(["pipeline", "pipeline", "pipeline", "model", "train"])
    path = folder / f"{kind}.yaml"
    way = chance.random()
    if way < 0.05:
        misplace(chance, path)
    elif way < 0.2:
        path.write_text(_trap(chance), encoding="utf-8")
    else:
        values = _values(chance, kind)
        if way < 0.85:
            break_values(chance, values)
        content = _written(chance, values)
        path.write_bytes(break_bytes(chance, content) if way > 0.8 else content)
    return path


def attempt(seed: int, folder: Path) -> str:
    """Make a file, read it; `taken`, or `refused` with an error of the package. Anything else comes out as it is."""
    return outcome(_read, case(random.Random(seed), folder))


def _read(path: Path) -> None:
    if path.stem == "pipeline":
        config = load_pipeline(path)
        config.to_session_config()
        check_pipeline_files(config, inputs=[NamedPath("the pipeline", str(path))])
        again = path.with_name("again.yaml")
        save_pipeline(config, again)
        if load_pipeline(again) != config:
            raise AssertionError("a pipeline that is saved and read is another one")
    elif path.stem == "model":
        from ssa_stream.checkpoints.layout import empty_model
        from ssa_stream.model import SsaConfig

        empty_model(SsaConfig.from_mapping(load_config("model", path)))
    else:
        from ssa_stream.training.recipe import TrainConfig

        TrainConfig.from_mapping(load_config("train", path))


def _values(chance: random.Random, kind: str) -> dict[str, Any]:
    """Good plain values of a kind."""
    if kind == "model":
        return load_config(kind, "ssa-tiny")
    if kind == "train":
        return load_config(kind, chance.choice(["smoke", "overfit"]))
    return PipelineConfig.from_mapping(json.loads(json.dumps(_FULL))).to_mapping()


def _written(chance: random.Random, values: dict[str, Any]) -> bytes:
    if chance.random() < 0.3:
        return json.dumps(values).encode()
    return yaml.safe_dump(values, allow_unicode=chance.random() < 0.5).encode("utf-8", "surrogateescape")


def _trap(chance: random.Random) -> str:
    """Text that is hostile as YAML."""
    depth = chance.choice([5, 9, 100, 1000, 20_000])
    link = "".join(f"{chr(97 + i)}{i}: &x{i + 1} [{','.join([f'*x{i}'] * 9)}]\n" for i in range(min(depth, 20)))
    merge = "".join(f"m{i + 1}: &x{i + 1} {{<<: [{','.join([f'*x{i}'] * 9)}]}}\n" for i in range(min(depth, 20)))
    text = chance.choice(HOSTILE_TEXTS).replace("\0", "").replace("\ud800", "").replace("\udce9", "")
    return chance.choice(
        [
            f"x: &x0 [lol, lol]\n{link}",
            f"x: &x0 {{lol: 1}}\n{merge}",
            "a0: &x0 [1]\n" + "".join(f"a{i + 1}: &x{i + 1} [*x{i}]\n" for i in range(min(depth, 2000))),
            "&a [*a]",
            "streams: &a {cam0: *a}",
            "[" * depth,
            "{a: " * depth,
            "- " * depth + "1",
            "? " * depth + "1",
            "streams: {cam0: {source: a, source: b}}\nstreams: {}",
            "streams: !!python/object/apply:os.system [true]",
            f"!!{chance.choice(_TAGS)} {text}",
            f"streams: {text}\nname: {text}",
            f"name: {chance.choice(_ODD_VALUES)}",
            "streams:\n  cam0: {source: 0, prompts: [a, a, a]}\n  ? [1, 2]\n  : {source: 1}\n",
            "a: 1\n---\nb: 2\n",
            "%YAML 1.1\n%TAG ! tag:yaml.org,2002:python/\n---\n!name:os.system x\n",
            "streams: {" + ", ".join(f"s{i}: {{source: synthetic}}" for i in range(chance.choice([64, 65, 500]))) + "}",
            "#" * 100_000,
        ]
    )
