"""What comes with the package, by name."""

from pathlib import Path

import pytest

from ssa_stream.checkpoints import DEFAULT_CHECKPOINT, load_checkpoint, located, read_info, shipped_checkpoints
from ssa_stream.errors import CheckpointError

LARGEST_BYTES = 25_000_000


def test_default_checkpoint_is_shipped_small_and_whole() -> None:
    """It has CLIP inside, so that nothing has to be downloaded, and a card beside it."""
    info = read_info(DEFAULT_CHECKPOINT)
    assert info.contains_clip
    assert set(info.dtypes) == {"F16"}
    assert info.size_bytes <= LARGEST_BYTES
    assert load_checkpoint(DEFAULT_CHECKPOINT).config.name == DEFAULT_CHECKPOINT


@pytest.mark.parametrize("name", sorted(shipped_checkpoints()))
def test_shipped_checkpoint_has_a_card(name: str) -> None:
    """A weight file without a word about what it can do is not shipped."""
    assert shipped_checkpoints()[name].with_suffix(".md").read_text().startswith(f"# {name}")


def test_located_prefers_a_file_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has such a file means it."""
    monkeypatch.chdir(tmp_path)
    Path(DEFAULT_CHECKPOINT).write_bytes(b"x")
    assert located(DEFAULT_CHECKPOINT) == Path(DEFAULT_CHECKPOINT)


def test_located_without_such_a_file_names_the_shipped_ones(tmp_path: Path) -> None:
    """The error is the list to choose from."""
    with pytest.raises(CheckpointError, match=f"there is no file .*mine.*{DEFAULT_CHECKPOINT}"):
        located(tmp_path / "mine.safetensors")
