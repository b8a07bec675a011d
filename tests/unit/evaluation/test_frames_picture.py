"""Figures of frames: which frames, what is drawn, that texts are inside, and what is said of bad input."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from ssa_stream.cli.main import app
from ssa_stream.data.kinds import KINDS, DataPlace, open_data
from ssa_stream.errors import ConfigError, SsaStreamError
from ssa_stream.evaluation.tables.frames import System, differing_frames, find_sentence, mutual_iou, open_system
from ssa_stream.evaluation.tables.frames_picture import PictureRow, draw_frames
from ssa_stream.viz.colours import PALETTE
from tests.support.data_sets import DATA_SETS, ROOTS

RUNNER = CliRunner()
MEVIS = ["--data", f"mevis:{ROOTS['mevis']}", "--split", "valid_u"]
FOUND = DATA_SETS / "mevis/predictions/valid_u"
SENTENCE = ["--sentence", "5e0d7c31b2a9/1"]
LONG = "the second of the dogs, which " + "runs and turns and " * 30 + "w" * 200


def square(left: int, size: tuple[int, int] = (8, 12)) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """A mask of four by four pixels."""
    mask = np.zeros(size, np.bool_)
    mask[2:6, left : left + 4] = True
    return mask


def run(*arguments: object) -> Any:
    """The command, in this process."""
    return RUNNER.invoke(app, ["report", "frames", *map(str, arguments)])


def test_mutual_iou_is_the_mean_of_pairs() -> None:
    """Two empty masks agree."""
    empty = np.zeros((8, 12), np.bool_)
    assert mutual_iou([empty, empty]) == 1
    assert mutual_iou([square(0), square(0), square(2)]) == pytest.approx((1 + 1 / 3 + 1 / 3) / 3)


def test_differing_frames_are_those_with_the_lowest_mutual_iou() -> None:
    """In their own order; equal ones by time; frames that a row lacks come last."""
    one = System("one", lambda index: square(0))
    two = System("two", lambda index: [square(0), square(4), square(2), square(4), None][index])
    assert differing_frames([one, two], range(5), (8, 12), 2) == [1, 3]
    assert differing_frames([one, two], range(5), (8, 12), 3) == [1, 2, 3]
    assert differing_frames([one, two], range(5), (8, 12), 9) == [0, 1, 2, 3, 4]
    with pytest.raises(ConfigError, match="two rows or more"):
        differing_frames([one], range(5), (8, 12), 2)
    with pytest.raises(ConfigError, match=r"row two: the mask of frame 0 has 12x8 pixels; expected 13x9"):
        differing_frames([two, one], range(5), (9, 13), 2)


@pytest.mark.filterwarnings("ignore:Glyph")  # of matplotlib, for a letter that its font lacks
@pytest.mark.parametrize("sentence", ["a dog", LONG, r"costs 5$ \frac{ 6$ {x}_y", "猫"])
def test_all_text_is_inside_and_cells_hold_what_was_given(sentence: str) -> None:
    """Long sentences and names are wrapped or cut; nothing is read as a formula."""
    frames = np.full((3, 60, 80, 3), 90, np.uint8)
    big = np.zeros((60, 80), np.bool_)
    big[20:40, 20:50] = True
    rows = [
        PictureRow("truth", [big, big, big], is_truth=True),
        PictureRow("a system with a rather long name " * 4, [big, None, big]),
    ]
    figure = draw_frames(frames, ["00000", "00010", "a_very_long_name_of_a_frame"], rows, sentence, width_in=3.3)
    width, height = figure.get_size_inches()
    assert width == pytest.approx(3.3)
    assert len(figure.axes) == 6
    for text in figure.texts:
        box = text.get_window_extent().transformed(figure.transFigure.inverted())
        assert min(box.x0, box.y0) > -0.002, text.get_text()
        assert max(box.x1, box.y1) < 1.002, text.get_text()
        assert float(text.get_fontsize()) >= 6
    assert sum(text.get_text() == "missing" for text in figure.texts) == 1
    written = figure.texts[-1].get_text() if sentence == "猫" else " ".join(t.get_text() for t in figure.texts)
    assert re.sub(r"\s", "", sentence) in re.sub(r"\s", "", written)
    pictures = [np.asarray(axes.images[0].get_array()) for axes in figure.axes]
    assert all((pictures[i] == PALETTE[1]).all(axis=-1).any() for i in range(3))
    assert (pictures[3] == PALETTE[0]).all(axis=-1).any()
    assert not (pictures[4] == PALETTE[0]).all(axis=-1).any()
    boxes = [axes.get_position() for axes in figure.axes]
    assert boxes[0].width * width / (boxes[0].height * height) == pytest.approx(80 / 60)
    assert boxes[3].y1 < boxes[0].y0
    assert boxes[0].x1 < boxes[1].x0


def test_too_many_columns_are_refused() -> None:
    """They would be too small to see anything."""
    frames = np.zeros((20, 8, 12, 3), np.uint8)
    with pytest.raises(ConfigError, match=r"20 columns do not fit into 3\.3 inches"):
        draw_frames(frames, [""] * 20, [PictureRow("x", [square(0)] * 20)], "s", width_in=3.3)


def test_command_draws_png_and_pdf(tmp_path: Path) -> None:
    """With the frames that were asked for, at the width that was asked for; fonts are in the file."""
    rows = ["--row", "truth", "--row", f"ours={FOUND}", *MEVIS, *SENTENCE]
    png, pdf = tmp_path / "f.png", tmp_path / "f.pdf"
    result = run(*rows, "--frames", "0,5,3", "-o", png)
    assert result.exit_code == 0
    assert "frames 0, 5, 3 of 5e0d7c31b2a9/1" in result.stderr
    with Image.open(png) as picture:
        assert picture.width == 990
    assert run(*rows, "--most-different", "--columns", 2, "-o", pdf, "--width", 6.9).exit_code == 0
    content = pdf.read_bytes()
    assert b"/Count 1" in content
    assert b"/FontFile2" in content
    assert b"/CreationDate" not in content
    assert isinstance(run(*rows, "-o", pdf).exception, SsaStreamError)


def test_missing_answers_are_said(tmp_path: Path) -> None:
    """A folder without this sentence is a row of missing frames, not an error."""
    faulty = DATA_SETS / "mevis/predictions/valid_u_faulty"
    result = run("--row", f"faulty={faulty}", *MEVIS, *SENTENCE, "--columns", 2, "-o", tmp_path / "f.png")
    assert result.exit_code == 0
    assert "row faulty has no mask of frame 0, 5" in result.stderr


@pytest.mark.parametrize(
    ("kind", "root", "split", "asked", "place"),
    [
        ("ref-davis17", "ref-davis17-raw", "valid", "goldfish/9", "ref_davis17/predictions_per_expression"),
        ("ref-davis17", "ref-davis17-raw", "valid", "goldfish/9", "ref_davis17/predictions_merged"),
        ("a2d-sentences", "a2d-sentences", "test", None, "a2d_sentences/predictions/queries.json"),
        ("jhmdb-sentences", "jhmdb-sentences", "test", None, "jhmdb_sentences/predictions/queries.json"),
        ("refcoco", "refcoco", "val", None, "refcoco/predictions/refcoco_val.json"),
    ],
)
def test_rows_of_each_form_of_predictions_overlap_with_the_truth(
    kind: str, root: str, split: str, asked: str | None, place: str
) -> None:
    """Pictures by sentence, pictures by annotator, results in COCO's form."""
    data = open_data(DataPlace(KINDS[kind], ROOTS[root]), split)
    if asked is None:
        video = data.video(data.videos[0])
        asked = f"{video.name}/{video.expressions[0].expression_id}"
    sentence = find_sentence(data, KINDS[kind], split, asked)
    truth, row = open_system(sentence, "truth", None), open_system(sentence, "row", DATA_SETS / place)
    shares = []
    for index in sentence.frames:
        meant, found = truth.mask(index), row.mask(index)
        assert meant is not None
        if found is not None and meant.any():
            assert found.shape == meant.shape == data.size(sentence.video.name)
            shares.append(mutual_iou([meant, found]))
    assert max(shares) > 0.4


def test_each_annotator_has_pictures_of_its_own() -> None:
    """Sentences 4 and 5 are of the same object, by the first and the second annotator."""
    data = open_data(DataPlace(KINDS["ref-davis17"], ROOTS["ref-davis17-raw"]), "valid")
    first, second = (
        open_system(
            find_sentence(data, KINDS["ref-davis17"], "valid", f"motorbike/{number}"),
            "row",
            DATA_SETS / "ref_davis17/predictions_merged",
        ).mask(0)
        for number in (4, 5)
    )
    assert first is not None
    assert second is not None
    assert (first != second).any()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["-o", "{out}.gif"], "no ending '.gif'"),
        (["--sentence", "5e0d7c31b2a9"], "expected VIDEO/EXPRESSION, such as 5e0d7c31b2a9/0"),
        (["--sentence", "nosuch/0"], "has no video 'nosuch'"),
        (["--sentence", "5e0d7c31b2a9/77"], "has no sentence '77'; expected one of 0, 1, 2, 3"),
        (["--frames", "0,6"], "--frames has '6'"),
        (["--frames", "x"], "--frames has 'x'"),
        (["--frames", "1", "--most-different"], "give one of them"),
        (["--row", "nothing"], "expected NAME=PLACE, or truth"),
        (["--row", "x={out}"], "is not there"),
        (["--row", "x={empty}"], "row x: no 5e0d7c31b2a9/1/<frame>.png in one of"),
        (["--data", "nosuch:{empty}"], "expected KIND:DIR"),
    ],
)
def test_command_says_what_is_wrong(change: list[str], words: str, tmp_path: Path) -> None:
    """One clear error each, and no file."""
    (tmp_path / "empty").mkdir()
    places = {"out": str(tmp_path / "f"), "empty": str(tmp_path / "empty")}
    base = ["--row", f"ours={FOUND}", *MEVIS, *SENTENCE, "-o", f"{tmp_path}/f.png"]
    result = run(*base, *(one.format(**places) for one in change))
    assert isinstance(result.exception, SsaStreamError)
    assert words in str(result.exception)
    assert [one.name for one in tmp_path.iterdir()] == ["empty"]


def test_results_file_without_scores_or_masks_is_refused(tmp_path: Path) -> None:
    """What came, and what was expected."""
    data = open_data(DataPlace(KINDS["a2d-sentences"], ROOTS["a2d-sentences"]), "test")
    video = data.video(data.videos[0])
    sentence = find_sentence(data, KINDS["a2d-sentences"], "test", f"{video.name}/{video.expressions[0].expression_id}")
    sample = video.expressions[0].sample_ids[0]
    path = tmp_path / "r.json"
    for content, words in (
        ("{}", "expected a list of answers"),
        ("[]", "has no answer to"),
        (f'[{{"image_id": "{sample}", "score": NaN}}]', "has no answer to"),
        (f'[{{"image_id": "{sample}"}}]', "has no score"),
    ):
        path.write_text(content, "utf-8")
        with pytest.raises(ConfigError, match=words):
            open_system(sentence, "row", path)
    path.write_text(f'[{{"image_id": "{sample}", "score": 1}}]', "utf-8")
    with pytest.raises(ConfigError, match="is broken: it is None"):
        open_system(sentence, "row", path).mask(sentence.frames[0])
