"""The file of changed prompts: what is written, what is taken from it, and what never ends a graph."""

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec import UNSET

from ssa_stream.nodes.broker.saved_prompts import SavedPrompts
from ssa_stream.nodes.pipeline import PipelineConfig
from ssa_stream.protocols import AppliesFrom, Prompt, PromptState


def _config(max_prompts: int = 16, **section: Any) -> PipelineConfig:
    stream = {"source": "synthetic", "prompts": ["the dog"], **section}
    return PipelineConfig.from_mapping({"session": {"max_prompts": max_prompts}, "streams": {"cam0": stream}})


def _state(version: int, *texts: str, by_client: bool = True) -> PromptState:
    prompts = tuple(Prompt(id=f"p{i}", text=text, version=version) for i, text in enumerate(texts, start=3))
    place = AppliesFrom(epoch=0, seq=0, index=0)
    return PromptState(
        stream="cam0", prompts=prompts, version=version, applies_from=place, by_client=by_client or UNSET
    )


def _saved(folder: Path, *states: PromptState, **section: Any) -> None:
    with SavedPrompts(folder, _config(**section)) as saved:
        for state in states:
            saved.record(state)


def _begins(folder: Path, *, fresh: bool = False, max_prompts: int = 16, **section: Any) -> tuple[Any, ...]:
    """Sentences by id, version and next number that a graph begins with, and what it says."""
    with SavedPrompts(folder, _config(max_prompts, **section), fresh=fresh) as saved:
        first = saved.first.get("cam0")
        said = [*saved.notes, *saved.warnings]
        if first is None:
            return None, said
        return ({prompt.id: prompt.text for prompt in first.prompts}, first.version, first.next_number), said


async def test_change_of_a_client_comes_back_and_is_on_the_disk_when_settled(tmp_path: Path) -> None:
    """With ids, version and numbers; what is only told again is not written again."""
    folder = tmp_path / "a" / "b"
    with SavedPrompts(folder, _config()) as saved:
        saved.record(_state(2, "the cat", "a door"))
        assert await saved.settled() == ""
        assert json.loads((folder / "prompts.json").read_text())["streams"]["cam0"]["version"] == 2
        saved.record(_state(2, "another", by_client=False))
        assert not saved.is_writing
    found, said = _begins(folder)
    assert found == ({"p3": "the cat", "p4": "a door"}, 2, 5)
    assert said[0].startswith("stream cam0: prompts as last changed at 20")


def test_what_the_pipeline_says_and_plans_leaves_no_file(tmp_path: Path) -> None:
    """Nor a folder; the same pipeline begins the same way twice."""
    _saved(tmp_path / "a", _state(1, "the dog", by_client=False), _state(2, "planned", by_client=False))
    assert list(tmp_path.iterdir()) == []


def test_planned_change_after_that_of_a_client_ends_it(tmp_path: Path) -> None:
    """The pipeline's prompts are in force again; the version goes on."""
    _saved(tmp_path, _state(2, "the cat"), _state(3, "planned", by_client=False))
    assert _begins(tmp_path) == (({"p1": "the dog"}, 4, 4), [])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"fresh": True}, "are dropped (--fresh)"),
        ({"prompts": ["the bird"]}, "which says others than when they were last changed"),
        ({"changes": [{"at_s": 1, "prompts": ["x"]}]}, "which says others than when they were last changed"),
        ({"max_prompts": 1}, "session.max_prompts allows 1"),
    ],
    ids=["fresh", "other prompts", "other plans", "too many"],
)
def test_pipeline_wins_and_it_is_said(options: dict[str, Any], words: str, tmp_path: Path) -> None:
    """Its prompts are a new version, so that nobody takes them for the former ones of the same ids."""
    _saved(tmp_path, _state(7, "the cat", "a door"))
    (sentences, version, number), said = _begins(tmp_path, **options)
    assert (list(sentences), version, number) == (["p1"], 8, 5)
    assert len(said) == 1
    assert words in said[0]


def test_planned_changes_are_left_out_where_a_client_has_the_say(tmp_path: Path) -> None:
    """They would replace at once what was to survive."""
    plans: dict[str, Any] = {"changes": [{"at_s": 1, "prompts": ["x"]}]}
    _saved(tmp_path, _state(2, "the cat"), **plans)
    with SavedPrompts(tmp_path, _config(**plans)) as saved:
        assert saved.adapted(_config(**plans)).streams["cam0"].changes == ()
    with SavedPrompts(tmp_path, _config(**plans), fresh=True) as saved:
        assert len(saved.adapted(_config(**plans)).streams["cam0"].changes) == 1


@pytest.mark.parametrize(
    ("changed_at", "when"),
    [
        ("2026-03-01T08:00:00+14:00", "2026-02-28 18:00:00 UTC"),
        ("2026-03-01T08:00:00Z", "2026-03-01 08:00:00 UTC"),
        ("2026-03-01T08:00:00", "an earlier time"),
        ("0001-01-01T00:00:00+14:00", "an earlier time"),
        ("1970-01-01T00:00:00Z", "an earlier time"),
        ("9999-12-31T23:59:59-14:00", "an earlier time"),
        (None, "an earlier time"),
    ],
)
def test_time_of_a_change_is_told_if_it_can_be_one(changed_at: str | None, when: str, tmp_path: Path) -> None:
    """In UTC; the prompts come back all the same."""
    _saved(tmp_path, _state(2, "the cat"))
    content = json.loads((tmp_path / "prompts.json").read_text())
    content["streams"]["cam0"]["changed_at"] = changed_at
    (tmp_path / "prompts.json").write_text(json.dumps(content))
    found, said = _begins(tmp_path)
    assert found == ({"p3": "the cat"}, 2, 4)
    assert said[0].startswith(f"stream cam0: prompts as last changed at {when}; ")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff{",
        b"[" * 100_000,
        b"[]",
        b'{"format": "other", "version": 1}',
        b'{"format": "ssa_stream prompts", "version": 2}',
        b'{"format": "ssa_stream prompts", "version": 1, "streams": {"cam0": {"configured": "x", "version": -1}}}',
        *(
            json.dumps(
                {
                    "format": "ssa_stream prompts",
                    "version": 1,
                    "streams": {"cam0": {"configured": "x", "version": 1, "next_number": 2, "prompts": prompts}},
                }
            ).encode()
            for prompts in (
                [{"id": "a/b", "text": "x", "version": 1}],
                [{"id": "a", "text": "x\x1b[2J", "version": 1}],
                [{"id": "a", "text": "x", "version": 1}, {"id": "b", "text": " X", "version": 1}],
                [{"id": "a", "text": "x", "version": 9}],
            )
        ),
    ],
    ids=["empty", "bytes", "deep", "list", "foreign", "newer", "field", "id", "hidden", "equal", "version"],
)
def test_file_that_cannot_be_used_is_kept_aside_with_one_warning(content: bytes, tmp_path: Path) -> None:
    """The graph begins as its pipeline says, and saves again."""
    (tmp_path / "prompts.json").write_bytes(content)
    found, said = _begins(tmp_path)
    assert (found, len(said)) == (None, 1)
    assert "the saved prompts cannot be used" in said[0]
    (kept,) = tmp_path.iterdir()
    assert (kept.name[:15], kept.read_bytes()) == ("prompts-unread-", content)
    _saved(tmp_path, _state(2, "the cat"))
    assert _begins(tmp_path)[0] == ({"p3": "the cat"}, 2, 4)


async def test_folder_that_is_taken_or_none_is_one_warning(tmp_path: Path) -> None:
    """The second graph of a pipeline runs, and says that it saves nothing."""
    with SavedPrompts(tmp_path / "a", _config()), SavedPrompts(tmp_path / "a", _config()) as second:
        assert "another graph of this pipeline saves its prompts" in second.warnings[0]
        second.record(_state(2, "the cat"))
        assert not second.is_writing
    (tmp_path / "file").write_bytes(b"")
    with SavedPrompts(tmp_path / "file" / "a", _config()) as saved:
        (warning,) = saved.warnings
        assert "nothing can be saved in" in warning
        saved.record(_state(2, "the cat"))
        assert await saved.settled() == ""


async def test_write_that_fails_is_told_and_tried_again_with_the_next_change(tmp_path: Path) -> None:
    """The answer to the client says so; see `Broker`."""
    with SavedPrompts(tmp_path, _config()) as saved:
        (tmp_path / "prompts.json").mkdir()
        saved.record(_state(2, "the cat"))
        assert "prompts.json" in await saved.settled()
        (tmp_path / "prompts.json").rmdir()
        saved.record(_state(3, "the cat"))
        assert await saved.settled() == ""
