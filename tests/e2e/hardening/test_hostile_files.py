"""Files from strangers on the command line: one error that names the file, and nothing finished is lost for a name."""

import json
import os
from pathlib import Path

import pytest
import yaml
from safetensors.torch import load_file, save_file

from ssa_stream.checkpoints import shipped_checkpoints
from ssa_stream.data import write_mevis
from ssa_stream.data.synthetic.sampling import SceneConfig
from ssa_stream.evaluation import report_from_json
from tests.support.command_line import run_command, write_tiny_config

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("warm_python")]

LATIN = os.fsdecode(b"caf\xe9")
LAUGHS = "streams: &a0 [lol, lol]\n" + "".join(
    f"a{i + 1}: &a{i + 1} [{', '.join([f'*a{i}'] * 9)}]\n" for i in range(12)
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small data set in a folder whose name is not UTF-8, and a small network's configuration."""
    path = tmp_path_factory.mktemp("hostile")
    write_mevis(path / LATIN, "val", 7, 1, num_frames=2, config=SceneConfig(size=(48, 80)))
    write_tiny_config(path)
    return path


def _expect_error(folder: Path, *arguments: str | Path, told: str) -> None:
    """The command ends with a status of its own and one error, without a traceback and in a few lines."""
    done = run_command(*arguments, cwd=folder)
    assert done.returncode in (1, 2), done.stderr
    assert "error:" in done.stderr
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr) < 5000


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (LAUGHS, "aliases expanded"),
        ("streams: {a: {source: synthetic}}\nstreams: {b: {source: synthetic}}\n", "'streams' comes twice"),
        ("[" * 10_000, "levels"),
        ("name: 2026-02-30\nstreams: {a: {source: synthetic}}\n", "not what it looks like"),
        ('streams: {a: {source: synthetic, prompts: ["\\ud800"]}}\n', "surrogate"),
    ],
    ids=["laughs", "twice", "deep", "date", "surrogate"],
)
def test_hostile_pipeline_is_one_error(tmp_path: Path, text: str, told: str) -> None:
    """Before it takes memory."""
    (tmp_path / "hostile.yaml").write_text(text)
    _expect_error(tmp_path, "up", "hostile.yaml", told=told)


@pytest.mark.parametrize(
    ("entry", "value", "told"),
    [
        ("config", {"clip.definition.vision_cfg.timm_model_name": "hf-hub:timm/convnext_atto"}, "timm_model_name"),
        ("config", {"frame_decoder.num_layers": 10**8}, "num_layers"),
        ("config", "[" * 100_000, "too deep"),
        ("format_version", "9" * 5000, "format version"),
    ],
    ids=["address", "layers", "deep", "version"],
)
def test_hostile_checkpoint_is_one_error(tmp_path: Path, entry: str, value: str | dict[str, object], told: str) -> None:
    """At once: 10^8 layers would never be built, and an address never answer."""
    good = shipped_checkpoints()["ssa-tiny"]
    data = good.read_bytes()
    metadata = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    if isinstance(value, dict):
        config = json.loads(metadata["config"])
        for path, new in value.items():
            *owners, last = path.split(".")
            inner = config
            for owner in owners:
                inner = inner[owner]
            inner[last] = new
        value = json.dumps(config)
    save_file(load_file(good), tmp_path / "hostile.safetensors", metadata | {entry: value})
    _expect_error(tmp_path, "checkpoint", "info", "hostile.safetensors", told=told)
    _expect_error(tmp_path, "run", "synthetic", "--prompt", "a dog", "--checkpoint", "hostile.safetensors", told=told)


def test_hostile_data_set_is_one_error(folder: Path, tmp_path: Path) -> None:
    """A pipe that nobody writes, a name that leads elsewhere."""
    (tmp_path / "JPEGImages").mkdir()
    model = ("--random-weights", "--model", str(folder / "tiny.yaml"), "--device", "cpu")
    command = ["eval", "--data", str(tmp_path), *model]
    os.mkfifo(tmp_path / "meta_expressions.json")
    _expect_error(tmp_path, *command, told="pipe or a device")
    (tmp_path / "meta_expressions.json").unlink()
    meta = {"videos": {"v": {"frames": ["../../x"], "expressions": {}}}}
    (tmp_path / "meta_expressions.json").write_text(json.dumps(meta))
    _expect_error(tmp_path, *command, told="files in its folder")


def test_evaluation_of_a_folder_with_a_latin_name_writes_its_report(folder: Path, tmp_path: Path) -> None:
    """Its name is in the report, which is written when all is computed."""
    model = ("--random-weights", "--model", folder / "tiny.yaml", "--device", "cpu")
    done = run_command("eval", "--data", folder / LATIN, *model, "--limit", "1", "--json", "r.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert report_from_json((tmp_path / "r.json").read_bytes()).settings.data == "caf\\udce9"


def test_results_are_told_on_a_terminal_of_ascii(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it cannot show comes as escapes; the table and the status are those of any other terminal."""
    for name, value in {
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONIOENCODING": "ascii",
    }.items():
        monkeypatch.setenv(name, value)
    model = ("--random-weights", "--model", folder / "tiny.yaml", "--device", "cpu")
    done = run_command("eval", "--data", folder / LATIN, *model, "--limit", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"{LATIN}".encode("ascii", "backslashreplace").decode() in done.stdout
    assert "| all" in done.stdout.replace("|all", "| all")
    assert done.stdout.isascii()


def test_prompt_of_other_bytes_is_refused_at_entry(folder: Path, tmp_path: Path) -> None:
    """Not when the first frame has been computed; by the client, too."""
    model = ("--random-weights", "--model", folder / "tiny.yaml", "--device", "cpu")
    _expect_error(tmp_path, "run", "synthetic", "--prompt", LATIN, *model, told="\\udce9")
    address = ("--address", "tcp://127.0.0.1:9", "--timeout", "1")
    _expect_error(tmp_path, "prompt", "add", "cam0", LATIN, *address, told="\\udce9")


def test_pipeline_that_names_a_latin_file_is_refused(tmp_path: Path) -> None:
    """A graph's messages are UTF-8, and could not say which file it is."""
    (tmp_path / "p.yaml").write_text(yaml.safe_dump({"streams": {"a": {"source": f"{LATIN}.mp4"}}}))
    _expect_error(tmp_path, "up", "p.yaml", told="surrogate")
