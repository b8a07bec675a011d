"""Snippets of the documents are what the programs take; `tests/e2e/test_snippets.py` runs them."""

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer.main
import yaml

from ssa_stream.cli.main import app
from ssa_stream.nodes.pipeline import PipelineConfig
from ssa_stream.training.data.settings import ReferringSets
from tests.support.checkout import ROOT
from tests.support.snippets import Snippet, command_lines, of_documents, snippets

# Snippets that a test cannot run. A new one needs `<!-- not run: REASON -->` and its line here.
NOT_RUN = {
    "docs/checkpoints.md": ["needs the weights of CLIP; tests/unit/checkpoints/test_clip_weights.py reads such files"],
    "docs/evaluation.md": ["needs a public data set; tests/e2e/test_score_cli.py runs it on a miniature one"],
    "docs/operations.md": ["the graph is on another machine; tests/e2e/test_graph_keys.py has clients with keys"],
    "docs/training.md": ["needs the data sets and eight GPUs; tests/unit/training/test_recipes.py takes these steps"],
    "docs/subscribing.md": ["the graph is on another machine; tests/e2e/test_graph_keys.py has clients with keys"],
}
_COMMANDS = [(str(snippet), words) for snippet in of_documents("shell") for words in command_lines(snippet)]
_OURS = [(where, words) for where, words in _COMMANDS if any(word.endswith("ssa-stream") for word in words)]
_OTHERS = [(where, words) for where, words in _COMMANDS if (where, words) not in _OURS]


def parse(words: list[str]) -> None:
    """Let the command line read its arguments, and do nothing.

    Raises:
        click's UsageError: An option or argument that there is not.
    """
    command: Any = typer.main.get_command(app)
    context, name = None, "ssa-stream"
    while True:
        context = command.make_context(name, list(words), parent=context)
        if not hasattr(command, "commands"):
            return
        name, command, words = command.resolve_command(context, [*context._protected_args, *context.args])


def _missing(words: list[str]) -> list[str]:
    """What a command line of another program names that this repository does not have."""
    program, *arguments = words
    if program == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        return [word for word in arguments if "=" not in word and word not in targets]
    if program == "pip":
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        named = re.findall(r"\[([\w,]+)\]", " ".join(arguments))
        return [one for name in named for one in name.split(",") if one not in extras["optional-dependencies"]]
    script, *rest = arguments[1:] if arguments[0] == "-m" else arguments
    path = Path(script.replace(".", "/") + ".py") if arguments[0] == "-m" else Path(script)
    if not (ROOT / path).is_file():
        return [script]
    text = (ROOT / path).read_text(encoding="utf-8")
    return [word for word in rest if word.startswith("--") and f'"{word}"' not in text]


def test_snippets_that_are_not_run_are_these() -> None:
    """Nothing slips: each has its reason."""
    marked: dict[str, list[str]] = {}
    for snippet in of_documents("python", "shell"):
        if snippet.reason is not None:
            marked.setdefault(str(snippet.path), []).append(snippet.reason)
    assert marked == NOT_RUN


def test_most_blocks_are_known() -> None:
    """A change of form would hide them from these tests."""
    assert len(of_documents("python")) >= 16
    assert len(_OURS) >= 35
    assert len(_OTHERS) >= 15


@pytest.mark.parametrize(("where", "words"), _OURS, ids=[f"{where} {' '.join(words[:3])}" for where, words in _OURS])
def test_command_line_is_understood(where: str, words: list[str]) -> None:
    """Every option and argument exists."""
    begin = next(i for i, word in enumerate(words) if word.endswith("ssa-stream"))
    parse(words[begin + 1 :])


@pytest.mark.parametrize(
    ("where", "words"), _OTHERS, ids=[f"{where} {' '.join(words[:3])}" for where, words in _OTHERS]
)
def test_other_program_is_there(where: str, words: list[str]) -> None:
    """Scripts and their options, targets of make, extras of the package."""
    assert _missing(words) == []


@pytest.mark.parametrize("snippet", of_documents("python"), ids=str)
def test_python_snippet_compiles(snippet: Snippet) -> None:
    """Also those that are not run."""
    compile(snippet.text, str(snippet), "exec")


@pytest.mark.parametrize("snippet", of_documents("yaml"), ids=str)
def test_yaml_snippet_is_of_a_pipeline_or_of_training_data(snippet: Snippet) -> None:
    """A whole one or sections of one, without unknown keys; other programs' files are lists."""
    content = yaml.safe_load(snippet.text)
    if isinstance(content, dict) and content.keys() == {"data"}:
        msgspec.convert(content["data"], ReferringSets)
    elif isinstance(content, dict) and content.keys() <= {
        field.name for field in msgspec.structs.fields(PipelineConfig)
    }:
        PipelineConfig.from_mapping({"streams": {"cam0": {"source": "synthetic"}}} | content)
    else:
        assert isinstance(content, list), "neither sections of a pipeline nor a list"


def test_checks_bite() -> None:
    """Wrong options are found, marks belong to their block only, and continued lines are one."""
    with pytest.raises(Exception, match="No such option"):
        parse(["watch", "cam0", "--nosuch"])
    with pytest.raises(Exception, match="No such command"):
        parse(["prompt", "nosuch"])
    assert _missing(["python", "examples/mask_subscriber.py", "--nosuch", "1"]) == ["--nosuch"]
    assert _missing(["python", "-m", "benchmarks.nosuch"]) == ["benchmarks.nosuch"]
    assert _missing(["pip", "install", "ssa_stream[nosuch]"]) == ["nosuch"]
    assert _missing(["make", "nosuch", "WORKERS=4"]) == ["nosuch"]
    text = (
        "<!-- not run: why -->\n\n```python\nx\n```\n\n    ssa-stream up \\\n      demo &  # now\n\n- item\n    more\n"
    )
    first, second = snippets(text)
    assert (first.language, first.line, first.text, first.reason) == ("python", 4, "x\n", "why")
    assert (second.language, second.reason) == ("shell", None)
    assert command_lines(second) == [["ssa-stream", "up", "demo"]]
