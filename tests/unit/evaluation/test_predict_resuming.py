"""A prediction that is cut off, shared or fed with broken data: what was done stays done, and nothing is half there."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ssa_stream.data import KINDS
from ssa_stream.errors import ConfigError, IncompleteInputError, SinkError
from ssa_stream.evaluation.predict.folder import PredictionFolder
from ssa_stream.evaluation.predict.loading import VideoFrames, load_videos
from ssa_stream.evaluation.predict.settings import write_or_compare_asked
from ssa_stream.evaluation.predict.units import Shard, plan_units, share_of
from ssa_stream.model import SSA
from tests.support.data_sets import ROOTS
from tests.unit.evaluation.predicting import EDGES_PX, Run, opened, tree

pytestmark = pytest.mark.usefixtures("one_thread")

LIMITS = {"ref-davis17-converted": 16}
SETS = {
    "pictures": ("mevis", "valid_u"),
    "merged": ("ref-davis17-converted", "valid"),
    "answers": ("refcoco", "val"),
}


@pytest.mark.parametrize(("name", "split"), SETS.values(), ids=SETS)
def test_killed_prediction_goes_on_and_has_the_same_bytes(name: str, split: str, tmp_path: Path) -> None:
    """A kill leaves pictures without their folder's name and half of a line; what was done is not done again."""
    whole = Run(ROOTS[name], name, split, tmp_path / "whole", limit=LIMITS.get(name))
    whole.all(with_zip=name == "mevis")
    broken = Run(ROOTS[name], name, split, tmp_path / "broken", limit=LIMITS.get(name))
    missing = broken.all(stop_after=2).missing
    assert missing == sum(whole.steps) - sum(broken.steps)
    shard = tmp_path / "broken" / ".predict" / "shards" / "0-of-1"
    (shard / "unfinished").mkdir(exist_ok=True)
    (shard / "unfinished" / "00000.png").write_bytes(b"half")
    with (shard / "journal.jsonl").open("ab") as file:
        file.write(b'{"video":"half')
    if name != "refcoco":
        picture = next(name for name in tree(tmp_path / "broken") if name.endswith(".png"))
        content = (tmp_path / "broken" / picture).read_bytes()
        (tmp_path / "broken" / picture).write_bytes(content[:-6])  # a power cut: the name is there, not all content
        missing += broken.steps[0]
    rest = Run(ROOTS[name], name, split, tmp_path / "broken", limit=LIMITS.get(name))
    rest.all(resume=True, with_zip=name == "mevis")
    assert sum(rest.steps) == missing
    assert tree(tmp_path / "broken") == tree(tmp_path / "whole")
    again = Run(ROOTS[name], name, split, tmp_path / "broken", limit=LIMITS.get(name))
    assert again.all(resume=True).missing == 0
    assert again.steps == []


@pytest.mark.parametrize(("name", "split"), SETS.values(), ids=SETS)
def test_parts_are_together_what_one_process_writes(name: str, split: str, tmp_path: Path) -> None:
    """The part that ends last puts all together; the first one says how much is missing."""
    whole = Run(ROOTS[name], name, split, tmp_path / "whole", limit=LIMITS.get(name))
    whole.all()
    first, second = (
        Run(ROOTS[name], name, split, tmp_path / "parts", shard=Shard(index, 2), limit=LIMITS.get(name))
        for index in (1, 0)
    )
    outcome = first.all()
    assert outcome.results is None
    assert 0 < outcome.missing == sum(whole.steps) - sum(first.steps)
    assert second.all().missing == 0
    assert tree(tmp_path / "parts") == tree(tmp_path / "whole")


def test_parts_share_the_work_evenly() -> None:
    """Every video once; no part has more than its share and the longest video."""
    plan = plan_units(KINDS["mevis"], opened(ROOTS["mevis"], "mevis", "train")).videos
    shares = [share_of(plan, Shard(index, 3)) for index in range(3)]
    assert sorted(video.video for share in shares for video in share) == sorted(video.video for video in plan)
    costs = [sum(video.num_frames * video.num_expressions for video in share) for share in shares]
    assert max(costs) - min(costs) <= max(video.num_frames * video.num_expressions for video in plan)


@pytest.fixture
def torn(tmp_path: Path) -> Path:
    """A data set with one broken picture in its first video."""
    shutil.copytree(ROOTS["mevis"] / "valid_u", tmp_path / "mevis" / "valid_u")
    _first_picture(tmp_path / "mevis").write_bytes(b"\xff\xd8torn")
    return tmp_path / "mevis"


def _first_picture(root: Path) -> Path:
    data = opened(root, "mevis", "valid_u")
    video = data.video(data.videos[0])
    return root / "valid_u" / "JPEGImages" / video.name / f"{video.frames[2]}.jpg"


def test_broken_video_is_left_out_by_name_and_repaired_later(torn: Path, tmp_path: Path) -> None:
    """The others are written as ever; once it is repaired, only it is computed."""
    whole = Run(ROOTS["mevis"], "mevis", "valid_u", tmp_path / "whole")
    whole.all()
    run = Run(torn, "mevis", "valid_u", tmp_path / "out", tolerate=0.8)
    outcome = run.all()
    name, picture = run.data.videos[0], _first_picture(torn)
    sentences = [f"{name}/{one.expression_id}" for one in run.data.video(name).expressions]
    assert [one.about for one in outcome.skipped] == sentences == [one.about for one in run.warnings]
    assert str(picture) in outcome.skipped[0].text
    expected = {file: content for file, content in tree(tmp_path / "whole").items() if f"/{name}/" not in file}
    assert tree(tmp_path / "out") == expected
    shutil.copy(_first_picture(ROOTS["mevis"]), picture)
    rest = Run(torn, "mevis", "valid_u", tmp_path / "out")
    assert rest.all(resume=True).skipped == ()
    assert len(rest.steps) == len(sentences)
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


def test_more_broken_sentences_than_are_tolerated_end_the_run(torn: Path, tmp_path: Path) -> None:
    """The error says how many, and names one with its file."""
    run = Run(torn, "mevis", "valid_u", tmp_path / "out", tolerate=0.01)
    with pytest.raises(IncompleteInputError, match=rf"of 11 are broken, and --tolerate 0\.01 allows 0; .*{torn}"):
        run.all()


def test_broken_frame_of_samples_costs_only_these(tmp_path: Path) -> None:
    """A video's other annotated frames are answered; a repaired one is answered later, in its place."""
    name = "jhmdb-sentences"
    shutil.copytree(ROOTS[name], tmp_path / name)
    whole = Run(ROOTS[name], name, "test", tmp_path / "whole")
    whole.all()
    data = opened(ROOTS[name], name, "test")
    (expression,) = data.video(data.videos[0]).expressions
    assert expression.annotated is not None
    frame = f"{expression.annotated[1] + 1:05d}.png"
    (picture,) = (tmp_path / name).rglob(f"Rename_Images/*/{data.videos[0]}/{frame}")
    content = picture.read_bytes()
    picture.write_bytes(content[:60])
    outcome = Run(tmp_path / name, name, "test", tmp_path / "out", tolerate=0.5).all()
    assert [one.about for one in outcome.skipped] == [expression.sample_ids[1]]
    answered = {one["image_id"] for one in json.loads((tmp_path / "out" / "predictions.json").read_text())}
    every = {one["image_id"] for one in json.loads((tmp_path / "whole" / "predictions.json").read_text())}
    assert every - answered == {expression.sample_ids[1]}
    picture.write_bytes(content)
    assert Run(tmp_path / name, name, "test", tmp_path / "out").all(resume=True).skipped == ()
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


def test_folder_is_refused_unless_the_same_goes_on(tmp_path: Path) -> None:
    """Something else in it, a prediction already, other settings, another process: each is said."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("")
    out = tmp_path / "out"
    run = Run(ROOTS["mevis-v2"], "mevis-v2", "valid", out)
    with run.work() as work:
        with pytest.raises(SinkError, match="another process is writing into"), run.work(resume=True):
            pass
        assert work.remaining()
    with pytest.raises(ConfigError, match="files of something else"):
        Run(ROOTS["mevis"], "mevis", "valid_u", other).all()
    with pytest.raises(ConfigError, match="holds a prediction already; go on with it by --resume"):
        run.all()
    with (
        pytest.raises(ConfigError, match="begun with short_edge_px 40, and this is 64"),
        run.work(resume=True, short_edge_px=64),
    ):
        pass
    with (
        pytest.raises(ConfigError, match=r"network tiny\.safetensors \(1{12}\), and this is other\.pt \(2{12}\)"),
        run.work(resume=True, network="2" * 64, network_name="other.pt"),
    ):
        pass
    with run.work(resume=True, network_name="renamed.safetensors") as work:
        assert work.remaining()
    PredictionFolder(out, Shard(0, 2)).check(resume=True)
    with pytest.raises(ConfigError, match="holds a prediction already"):
        PredictionFolder(out, Shard(0, 2)).check(resume=False)


def _reword(videos: dict[str, Any]) -> None:
    next(iter(videos["missing00001"]["expressions"].values()))["exp"] = "something else"


def _rename_frame(videos: dict[str, Any]) -> None:
    videos["missing00001"]["frames"][-1] = "00099"


def _leave_out(videos: dict[str, Any]) -> None:
    del videos["missing00001"]


@pytest.mark.parametrize("change", [_reword, _rename_frame, _leave_out])
def test_other_sentences_or_frames_are_not_gone_on_with(
    change: Callable[[dict[str, Any]], None], tmp_path: Path
) -> None:
    """Also where the change is in the part of another process, or beyond the limit."""
    file = tmp_path / "mevis" / "valid_u" / "meta_expressions.json"
    file.parent.mkdir(parents=True)
    content = json.loads((ROOTS["mevis"] / "valid_u" / file.name).read_text("utf-8"))
    file.write_text(json.dumps(content))
    run = Run(tmp_path / "mevis", "mevis", "valid_u", tmp_path / "above" / "out", limit=1)
    with run.work():
        pass
    assert next(iter(content["videos"])) != "missing00001"
    change(content["videos"])
    file.write_text(json.dumps(content))
    with (
        pytest.raises(ConfigError, match="other sentences or frames: 1 of 4 videos differ, such as 'missing00001'"),
        run.work(resume=True),
    ):
        pass


def test_video_that_is_repaired_is_noted_then(tmp_path: Path) -> None:
    """What could not be read may be anything when it is read first, and has to stay the same after that."""
    path = tmp_path / ".predict" / "asked.json"
    path.parent.mkdir()
    for asked in (None, "1", None, "1"):
        write_or_compare_asked(path, {"whole": "0", "broken": asked})
    with pytest.raises(ConfigError, match="1 of 2 videos differ, such as 'broken'"):
        write_or_compare_asked(path, {"whole": "0", "broken": "2"})


def test_sentence_that_is_too_long_is_told_once(torn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken video is tried again, and its sentences are not told again."""
    monkeypatch.setattr(SSA, "cut_off", lambda _self, _prompt: "too long")
    told = []
    for resume in (False, True):
        run = Run(torn, "mevis", "valid_u", tmp_path / "out", tolerate=0.8)
        run.all(resume=resume)
        told.append([one.text == "too long" for one in run.warnings])
    assert told == [[True, False] * 4 + [True] * 7, [False] * 4]


def test_file_above_the_folder_is_refused(tmp_path: Path) -> None:
    """Folders above it are made, a file there is named."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=f"{tmp_path}/file is a file"):
        PredictionFolder(tmp_path / "file" / "a" / "out", Shard()).check(resume=False)


@pytest.mark.parametrize("text", ["", "1", "2/2", "-1/2", "a/b", "0/0", "1/2/3"])
def test_what_is_no_part_is_refused(text: str) -> None:
    """Parts count from 0."""
    with pytest.raises(ConfigError, match="expected I/N"):
        Shard.parse(text)


def test_names_that_lead_elsewhere_are_refused(tmp_path: Path) -> None:
    """An expression's id in the data is the name of a folder in the results."""
    folder = PredictionFolder(tmp_path, Shard())
    for name in ("../x", "a/b", "", ".predict", ".."):
        with pytest.raises(ConfigError, match="cannot be the name of a folder"):
            folder.place("valid", "video", name)


def test_worker_processes_give_what_one_process_reads() -> None:
    """Videos in order, each in chunks; a broken index is named, and the others come."""
    data = opened(ROOTS["mevis"], "mevis", "valid_u")
    videos = [
        VideoFrames(number, name, (*range(len(data.video(name).frames)), *([999] if number == 1 else [])))
        for number, name in enumerate(data.videos)
    ]
    read = [
        [
            (part.number, part.indices, None if part.frames is None else part.frames.tobytes(), part.problems)
            for part in parts
        ]
        for workers in (0, 2)
        for parts in load_videos(data, videos, EDGES_PX, workers)
    ]
    half = len(read) // 2
    assert half == len(videos)
    assert read[:half] == read[half:]
    (last,) = read[1]
    assert last[1] == videos[1].indices[:-1]
    assert list(last[3]) == [999]
