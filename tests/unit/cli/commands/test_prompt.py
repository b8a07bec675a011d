"""`ssa-stream prompt` with a client that answers from memory."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
from typer.testing import CliRunner

import ssa_stream.client
from ssa_stream.cli.main import app
from ssa_stream.client import StreamPrompts
from ssa_stream.errors import ConfigError
from ssa_stream.protocols import AppliesFrom, Prompt

RUNNER = CliRunner()


class _Client:
    """Remembers what it was asked."""

    asked: list[tuple[Any, ...]]

    def __init__(self, address: str, stream: str, *, timeout_s: float, keys: Path | None) -> None:
        type(self).asked = [(address, stream, timeout_s, keys)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.asked.append(("closed",))

    def _answer(self, *asked: Any) -> StreamPrompts:
        self.asked.append(asked)
        prompts = (Prompt(id="p1", text="the [red] cup", version=2),)
        return StreamPrompts("cam0", prompts, 3, AppliesFrom(epoch=1, seq=40, index=140))

    def set(self, prompts: Sequence[str] | Mapping[str, str]) -> StreamPrompts:
        return self._answer("set", prompts)

    def add(self, text: str, prompt_id: str | None = None) -> StreamPrompts:
        return self._answer("add", text, prompt_id)

    def remove(self, prompt_id: str) -> StreamPrompts:
        if prompt_id != "p1":
            raise ConfigError(f"there is no prompt {prompt_id}")
        return self._answer("remove", prompt_id)

    def list(self) -> StreamPrompts:
        return self._answer("list")


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> type[_Client]:
    """In place of the real one."""
    monkeypatch.setattr(ssa_stream.client, "PromptClient", _Client)
    return _Client


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["set", "cam0", "the red cup", "a dog"], ("set", ["the red cup", "a dog"])),
        (["add", "cam0", "the red cup"], ("add", "the red cup", None)),
        (["add", "cam0", "the red cup", "--id", "cup"], ("add", "the red cup", "cup")),
        (["remove", "cam0", "p1"], ("remove", "p1")),
        (["list", "cam0"], ("list",)),
    ],
    ids=["set", "add", "add with id", "remove", "list"],
)
def test_command_asks_and_shows_the_prompts(client: type[_Client], words: list[str], asked: tuple[Any, ...]) -> None:
    """Text is shown as it is, with the first frame that follows."""
    result = RUNNER.invoke(app, ["prompt", *words])
    assert result.exit_code == 0, result.output
    assert client.asked == [("tcp://127.0.0.1:5556", "cam0", 10.0, None), asked, ("closed",)]
    assert "the [red] cup" in result.stdout
    assert "hold from frame 40 on, counted since start 2 of its source (version 3 of the prompts)" in result.stdout


def test_prompt_is_removed_by_its_sentence_too(client: type[_Client]) -> None:
    """Capitals and spaces do not count; of a name that nothing has, the answer says what there is."""
    result = RUNNER.invoke(app, ["prompt", "remove", "cam0", "The [red] cup"])
    assert result.exit_code == 0, result.output
    assert client.asked[1:] == [("list",), ("remove", "p1"), ("closed",)]
    failed = RUNNER.invoke(app, ["prompt", "remove", "cam0", "p7"])
    assert str(failed.exception) == 'there is no prompt p7; prompts of the stream are: p1 ("the [red] cup")'


def test_command_prints_json_on_request(client: type[_Client]) -> None:
    """One object; address, time-out and keys are passed on."""
    words = [
        "prompt",
        "list",
        "cam0",
        "--json",
        "--address",
        "tcp://127.0.0.1:7",
        "--timeout",
        "1.5",
        "--keys",
        "robot",
    ]
    result = RUNNER.invoke(app, words)
    assert json.loads(result.stdout) == {
        "stream": "cam0",
        "version": 3,
        "applies_from": {"epoch": 1, "seq": 40, "index": 140},
        "prompts": [{"id": "p1", "text": "the [red] cup", "version": 2}],
        "warnings": [],
    }
    assert client.asked[0] == ("tcp://127.0.0.1:7", "cam0", 1.5, Path("robot"))


def test_defaults_are_those_of_the_library() -> None:
    """The command line names them without importing it."""
    from ssa_stream.cli.commands import prompt, watch

    assert prompt._ADDRESS == ssa_stream.client.DEFAULT_REQUESTS_ADDRESS
    assert watch.watch.__defaults__ is not None
    assert ssa_stream.client.DEFAULT_PUBLISH_ADDRESS in watch.watch.__defaults__
