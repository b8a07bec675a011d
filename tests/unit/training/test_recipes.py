"""The published recipes, each from the data sets' own files to a checkpoint, at tiny sizes."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from ssa_stream.checkpoints import read_info
from ssa_stream.cli.main import app
from ssa_stream.configs import load_config
from tests.support.data_sets import DATA_SETS, ROOTS

_TRUTH = ("--truth", str(DATA_SETS / "ref_youtube_vos" / "extra_valid_truth"))
EVALUATED_ON: dict[str, tuple[tuple[str, ...], ...]] = {
    "mevis": (("mevis", "valid_u", "J&F"),),
    "mevis-joint": (("mevis", "valid_u", "J&F"),),
    "refcoco": (("refcoco", "val", "segm P@0.5"),),
    "a2d": (("a2d-sentences", "test", "P@0.5"), ("jhmdb-sentences", "test", "P@0.5")),
    "ref-youtube-vos": (("ref-youtube-vos", "valid", "J&F", *_TRUTH),),
    "davis": (("ref-davis17", "valid", "J&F"),),
}
_ROOTS = ROOTS | {
    "ref-davis17": ROOTS["ref-davis17-raw"],
    **dict.fromkeys(("refcoco", "refcoco+", "refcocog"), ROOTS["refcoco"]),
}


def _moved(places: Any) -> Any:
    """The same kinds in the folders of the miniature sets."""
    if isinstance(places, list):
        return [_moved(place) for place in places]
    kind = places.partition(":")[0]
    return f"{kind}:{_ROOTS[kind]}"


def _at_tiny_sizes(recipe: str) -> dict[str, Any]:
    """A shipped recipe with everything as it is but sizes, lengths, folders and the number format."""
    settings: dict[str, Any] = load_config("train", f"ssa-large-{recipe}")
    (stage,) = settings["stages"]
    stage |= {"steps": 2, "batch": 2, "frames": [min(stage["frames"][0], 3)] * 2}
    stage["loss"] |= {"num_points": 16}
    stage["data"] |= {"short_edges_px": [64], "long_edge_px": 64}
    for part in stage["data"]["sets"]:
        part["data"] = _moved(part["data"])
    settings["validation"] |= {"every": 2, "clips": 1, "size": [64, 64], "data": _moved(settings["validation"]["data"])}
    return settings | {"model": "ssa-tiny", "precision": "32-true", "workers": 0}


def _command(*words: str | Path) -> None:
    """Run a command in this process, as the console script does."""
    assert CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False).exit_code == 0


@pytest.mark.slow
@pytest.mark.parametrize("recipe", EVALUATED_ON)
def test_recipe_goes_from_raw_data_to_a_score(recipe: str, tmp_path: Path) -> None:
    """Two steps of the shipped configuration, then predict and score on all that these weights are reported on."""
    config, out = tmp_path / "recipe.yaml", tmp_path / "run"
    config.write_text(yaml.safe_dump(_at_tiny_sizes(recipe)), encoding="utf-8")
    _command("train", config, "--out", out, "--accelerator", "cpu", "--threads", "1")
    weights = out / "last.safetensors"
    for saved in (weights, out / "best.safetensors"):
        notes = read_info(saved).notes
        assert notes["steps"] == "2"
        assert EVALUATED_ON[recipe][0][0] in notes["trained on"]
    for number, (kind, split, headline, *options) in enumerate(EVALUATED_ON[recipe]):
        where, masks = ("--data", _moved(f"{kind}:"), "--split", split), tmp_path / f"masks{number}"
        network = ("-c", weights, "--device", "cpu", "--threads", "1", "--short-edge", "32", "--workers", "0")
        _command("predict", *where, *network, "--out", masks, "--no-zip")
        figures = tmp_path / f"{number}.json"
        _command("score", *where, "--predictions", masks, "--json", figures, "--workers", "1", *options)
        report = json.loads(figures.read_text("utf-8"))
        assert report["deviations"] == []
        assert 0 <= report["figures"][headline] <= 1
