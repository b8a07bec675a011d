"""The published recipes, each from the data sets' own files to a checkpoint, at tiny sizes."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from ssa_stream.checkpoints import read_info
from ssa_stream.cli.main import app
from ssa_stream.configs import load_config
from tests.support.data_sets import ROOTS

RECIPES = ("mevis", "mevis-joint", "refcoco", "a2d", "ref-youtube-vos", "davis")
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


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
def test_recipe_goes_from_raw_data_to_a_checkpoint(recipe: str, tmp_path: Path) -> None:
    """Two steps of the shipped configuration on the miniature sets, by the command line."""
    config, out = tmp_path / "recipe.yaml", tmp_path / "run"
    config.write_text(yaml.safe_dump(_at_tiny_sizes(recipe)), encoding="utf-8")
    words = ["train", str(config), "--out", str(out), "--accelerator", "cpu", "--threads", "1"]
    assert CliRunner().invoke(app, words, catch_exceptions=False).exit_code == 0
    info = read_info(out / "last.safetensors")
    assert info.notes["steps"] == "2"
    assert (out / "best.safetensors").is_file()
