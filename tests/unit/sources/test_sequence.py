"""Pictures of a folder: the first number is found, holes stay holes in time, and what is missing is said."""

from pathlib import Path

import pytest
from PIL import Image

from ssa_stream.errors import ConfigError, SourceError, SourceErrorCode
from ssa_stream.sources import Frame, open_source
from tests.support.picture_files import four_colours
from tests.support.video_files import numbered_image, read_number, write_video

_ORIENTATION_TAG, _UPSIDE_DOWN = 0x0112, 3


def _write(folder: Path, *names: str, height: int = 48) -> None:
    folder.mkdir(exist_ok=True)
    for position, name in enumerate(names):
        Image.fromarray(numbered_image(position, height, 96)).save(folder / name)


def _read(pattern: str | Path) -> tuple[list[Frame], tuple[str, ...]]:
    with open_source(str(pattern)) as source:
        frames = list(source.frames())
        assert source.info.frame_count is not None
        return frames, source.warnings  # type: ignore[attr-defined]  # of a file


def test_gap_in_a_sequence_is_a_hole_in_time_and_number(tmp_path: Path) -> None:
    """The pictures after it keep the times that their numbers say."""
    _write(tmp_path / "f", "f100.png", "f101.png", "f103.png", "f107.png")
    frames, warnings = _read(tmp_path / "f" / "f%03d.png")
    assert [frame.t for frame in frames] == pytest.approx([0, 1 / 25, 3 / 25, 7 / 25])
    assert [frame.seq for frame in frames] == [0, 1, 3, 7]
    assert [read_number(frame.image) for frame in frames] == [0, 1, 2, 3]
    assert warnings == ("pictures 102 and 104 to 106 are missing",)


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        (["8.jpg", "9.jpg", "10.jpg"], "%d.jpg"),
        (["998.png", "999.png", "1000.png"], "%03d.png"),
        (["a00008.png", "a00009.png", "a00010.png"], "a%5d.png"),
        (["100%_8.png", "100%_9.png", "100%_10.png"], "100%%_%d.png"),
        (["2-2.png", "3-3.png", "4-4.png"], "%d-%d.png"),
        (["p8.png", "p9.png", "p10.png"], "p*.png"),
        (["p8.png", "p9.png", "p10.png"], "p[0-9]*.png"),
        (["0.webp", "1.webp", "2.webp"], "%d.webp"),
        (["0.bmp", "1.bmp", "2.bmp"], "%d.bmp"),
    ],
    ids=["unpadded", "above-width", "width", "percent", "several", "star", "class", "webp", "bmp"],
)
def test_pattern_finds_its_pictures_in_order(tmp_path: Path, names: list[str], pattern: str) -> None:
    """Whatever the numbers look like; other files of the folder are left alone."""
    _write(tmp_path / "f", *names)
    (tmp_path / "f" / "notes.txt").write_text("not a picture")
    frames, warnings = _read(tmp_path / "f" / pattern)
    assert [read_number(frame.image) for frame in frames] == [0, 1, 2]
    assert [frame.t for frame in frames] == pytest.approx([0, 0.04, 0.08])
    assert warnings == ()


@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_rotated_picture_does_not_rotate_the_one_after_it(tmp_path: Path, ending: str) -> None:
    """Each file has an orientation of its own, also where all have one size."""
    turned = Image.Exif()
    turned[_ORIENTATION_TAG] = _UPSIDE_DOWN
    for number in range(4):
        exif = turned if number == 1 else Image.Exif()
        Image.fromarray(four_colours()).save(tmp_path / f"{number}.{ending}", exif=exif)
    frames, _ = _read(tmp_path / f"%d.{ending}")
    blue_is_left = [bool(frame.image[-1, 0, 2] > 180) for frame in frames]
    assert blue_is_left == [True, False, True, True]


@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_density_of_a_picture_is_its_pixel_aspect_alone_and_in_a_sequence(tmp_path: Path, ending: str) -> None:
    """As FFmpeg takes it: the quotient of both densities."""
    Image.fromarray(four_colours()).save(tmp_path / f"0.{ending}", dpi=(72, 144))
    Image.fromarray(four_colours()).save(tmp_path / f"1.{ending}", dpi=(72, 72))
    with open_source(tmp_path / f"0.{ending}") as source:
        alone = [frame.pixel_aspect for frame in source.frames()]
    frames, _ = _read(tmp_path / f"%d.{ending}")
    assert [float(aspect) for aspect in alone] == pytest.approx([0.5], abs=1e-3)
    assert [frame.pixel_aspect for frame in frames] == [*alone, 1]


def test_folder_that_exists_is_no_pattern(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is in its name; one that does not exist is a pattern."""
    monkeypatch.chdir(tmp_path)
    _write(tmp_path / "cam[1]", "a.png", "b.png")
    _write(tmp_path / "cam1", "c.png")
    (tmp_path / "cam[1]" / "x*").mkdir()
    _write(tmp_path / "cam[1]" / "x*", "a.png")
    for pattern, count in (("cam[1]/*.png", 2), ("cam[1]/[ab].png", 2), ("cam[1]/x*/*.png", 1), ("cam[0-9]/*.png", 1)):
        assert len(_read(pattern)[0]) == count
        assert len(_read(tmp_path / pattern)[0]) == count


def test_rate_of_a_sequence_can_be_given(tmp_path: Path) -> None:
    """As a setting of the address."""
    _write(tmp_path / "f", "0.png", "1.png", "2.png")
    frames, _ = _read(f"{tmp_path}/f/%d.png#fps=10")
    assert [frame.t for frame in frames] == pytest.approx([0, 0.1, 0.2])


def test_damaged_picture_is_skipped_and_named(tmp_path: Path) -> None:
    """The others come at their times; one of another size begins an epoch."""
    _write(tmp_path / "f", *(f"{number}.png" for number in range(5)))
    _write(tmp_path / "f", "4.png", height=96)
    (tmp_path / "f" / "2.png").write_bytes(b"nonsense")
    frames, warnings = _read(tmp_path / "f" / "%d.png")
    assert [frame.t for frame in frames] == pytest.approx([0, 0.04, 0.12, 0.16])
    assert [(frame.epoch, frame.seq) for frame in frames] == [(0, 0), (0, 1), (0, 3), (1, 0)]
    assert warnings == ("1 of 5 pictures are damaged: 2.png",)


def test_pattern_that_fits_nothing_says_what_is_there(tmp_path: Path) -> None:
    """One clear error each."""
    _write(tmp_path / "f", "a1.png")
    for pattern, says in (("f/b%d.png", "holds a1.png"), ("f/*.jpg", "holds a1.png"), ("g/%d.png", "no folder")):
        with pytest.raises(SourceError, match=says) as caught:
            open_source(str(tmp_path / pattern))
        assert caught.value.code is SourceErrorCode.NOT_FOUND


def test_pattern_of_videos_says_that_these_are_videos(tmp_path: Path) -> None:
    """They are not damaged; one among pictures is left out, and told."""
    for number in range(2):
        write_video(tmp_path / f"{number}.mp4", 3)
    with pytest.raises(SourceError, match=r"2 of 2 files are videos, a pattern is for pictures: 0\.mp4, 1\.mp4; give"):
        open_source(str(tmp_path / "%d.mp4"))
    _write(tmp_path, "2.png")
    frames, warnings = _read(tmp_path / "[12].*")
    assert len(frames) == 1
    assert warnings == ("1 of 2 files are videos, a pattern is for pictures: 1.mp4; give each video by its own name",)


def test_name_that_exists_is_never_a_pattern(tmp_path: Path) -> None:
    """Nor is anything in it a setting."""
    names = ("a%03d.png", "x[1].png", "q?.png", "b#stream=1.png", "new\nline.png", "%20.png", "http:x.png")
    _write(tmp_path / "f", *names)
    for position, name in enumerate(names):
        with open_source(str(tmp_path / "f" / name)) as source:
            assert [read_number(frame.image) for frame in source.frames()] == [position]


@pytest.mark.parametrize("setting", ["fps=0", "fps=nine", "stream=x", "stream=-1", "fps=10&strem=1"])
def test_setting_without_a_valid_value_is_refused(tmp_path: Path, setting: str) -> None:
    """Before anything is opened."""
    with pytest.raises(ConfigError, match=r"expected|unknown"):
        open_source(f"{tmp_path}/%d.png#{setting}")
