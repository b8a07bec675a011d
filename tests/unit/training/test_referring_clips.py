"""Clips of public data sets: how they are mixed, which frames they have, what becomes of broken samples."""

import pickle
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from ssa_stream.data import SceneConfig, write_mevis
from ssa_stream.errors import ConfigError
from ssa_stream.training.config import ClipsStage, ValidationConfig
from ssa_stream.training.data.batch import BrokenSample
from ssa_stream.training.data.clip_batches import ClipBatches, open_clips
from ssa_stream.training.data.mixture import Mixture
from ssa_stream.training.data.referring_clips import ReferringClips
from ssa_stream.training.data.samples import SampleIndex, open_held_out
from ssa_stream.training.data.settings import ReferringSets, TrainingSet
from ssa_stream.training.loop.broken_samples import BrokenSamples
from ssa_stream.training.loop.held_out import HeldOutClips
from tests.support.data_sets import ROOTS

SETS = {
    "mevis": f"mevis:{ROOTS['mevis']}",
    "mevis-v2": f"mevis:{ROOTS['mevis-v2']}",
    "ref-youtube-vos": f"ref-youtube-vos:{ROOTS['ref-youtube-vos']}",
    "ref-davis17": f"ref-davis17:{ROOTS['ref-davis17-raw']}",
    "a2d-sentences": f"a2d-sentences:{ROOTS['a2d-sentences']}",
    "refcocog": f"refcocog:{ROOTS['refcoco']}",
}


def _sets(*parts: dict[str, Any], **changes: Any) -> ReferringSets:
    """Settings of small clips that are not cropped or flipped."""
    plain = {"crop_probability": 0.0, "flip_probability": 0.0, "short_edges_px": [32], "long_edge_px": 64}
    return msgspec.convert({"source": "referring", "sets": parts, **plain, **changes}, ReferringSets)


@pytest.mark.parametrize("weights", [(1.0, 0.6), (1.0, 0.4), (3.0, 2.0, 1.0)], ids=str)
def test_mixture_keeps_its_proportions_and_goes_through_each_set(weights: tuple[float, ...]) -> None:
    """Proportions hold from early on; between two draws of a sample, all others of its set are drawn."""
    sizes = (7, 40, 3)[: len(weights)]
    mixture = Mixture(sizes, weights, (3,))
    drawn = [mixture[index] for index in range(4000)]
    counts = Counter(number for number, _ in drawn)
    for number, weight in enumerate(weights):
        assert counts[number] == pytest.approx(4000 * weight / sum(weights), abs=4)
        samples = [sample for one, sample in drawn if one == number]
        size = sizes[number]
        rounds = [samples[first : first + size] for first in range(0, len(samples) - size, size)]
        assert all(sorted(order) == list(range(size)) for order in rounds)
        assert len({tuple(order) for order in rounds}) > 1
    early = Counter(number for number, _ in drawn[:300])
    assert early[0] == pytest.approx(300 * weights[0] / sum(weights), abs=30)
    again = Mixture(sizes, weights, (3,))
    assert [again[index] for index in (3999, 5, 1234)] == [drawn[index] for index in (3999, 5, 1234)]
    other = Mixture(sizes, weights, (4,))
    assert [other[index] for index in range(50)] != drawn[:50]


def test_mixture_of_settings_decides_which_set_a_clip_is_of() -> None:
    """Sets with a weight each; a set of several data sets draws all of their samples equally often."""
    data = _sets(
        {"data": SETS["mevis"], "weight": 1.0}, {"data": [SETS["ref-youtube-vos"], SETS["a2d-sentences"]], "weight": 3}
    )
    source = ReferringClips(data, 0, "s")
    texts = [len(samples) for samples in source._sets]
    assert texts[1] == len(SampleIndex(TrainingSet(data=SETS["ref-youtube-vos"]))) + len(
        SampleIndex(TrainingSet(data=SETS["a2d-sentences"]))
    )
    of_mevis = {source._sets[0][number].text for number in range(texts[0])}
    drawn = [source.clip(index, 1).sentences[0].text for index in range(40)]
    assert sum(text in of_mevis for text in drawn) == pytest.approx(10, abs=6)


@pytest.mark.parametrize("kind", SETS)
def test_clip_is_a_function_of_its_number_also_in_another_process(kind: str) -> None:
    """Of every data set: masks fit the frames, and a copy that was sent to a worker makes the same clips."""
    source = ReferringClips(_sets({"data": SETS[kind]}, crop_probability=0.5), 1, "s")
    sent = pickle.loads(pickle.dumps(source))
    for index in (0, 4):
        clip, again = source.clip(index, 3), sent.clip(index, 3)
        assert np.array_equal(clip.frames, again.frames)
        assert np.array_equal(clip.sentences[0].masks, again.sentences[0].masks)
        assert clip.frames.shape[0] == 3
        assert clip.sentences[0].masks.shape[1:] == clip.frames.shape[:3]
        assert clip.sentences[0].masks.any(axis=(1, 2, 3)).all()
        assert clip.broken == ()


def test_every_sentence_comes_once_a_round(tmp_path: Path) -> None:
    """Our own data in the MeViS format."""
    write_mevis(tmp_path / "train", "train", 0, 2, num_frames=5, config=SceneConfig(size=(40, 64)))
    source = ReferringClips(_sets({"data": f"mevis:{tmp_path}"}, long_edge_px=96), 1, "s")
    (samples,) = source._sets
    texts = sorted(samples[number].text for number in range(len(samples)))
    clips = [source.clip(index, 3) for index in range(len(texts))]
    assert sorted(clip.sentences[0].text for clip in clips) == texts
    assert all(clip.frames.shape == (3, 32, 51, 3) for clip in clips)


def test_annotated_frames_of_a2d_are_samples_of_their_own() -> None:
    """A clip of one frame is that frame, at its size, with the mask of the sentence's object."""
    samples = SampleIndex(TrainingSet(data=SETS["a2d-sentences"]))
    assert {(samples[number].text, samples[number].frame) for number in range(len(samples))} >= {
        ("a man in black is running", 2),
        ("a man in black is running", 7),
    }
    source = ReferringClips(_sets({"data": SETS["a2d-sentences"]}, short_edges_px=[48], long_edge_px=64), 0, "s")
    for index in range(len(samples)):
        number, position = source._mixture[index]
        sample, clip = source._sets[number][position], source.clip(index, 1)
        assert sample.frame is not None
        whole = sample.data.frames(sample.video.name, [sample.frame])
        masks = sample.data.masks(sample.video.name, sample.expression, [sample.frame])
        assert clip.sentences[0].masks.shape[0] == 1
        if whole.shape == clip.frames.shape:
            assert np.array_equal(clip.frames, whole)
            assert np.array_equal(clip.sentences[0].masks, masks)


def test_objects_that_no_frame_shows_are_left_out() -> None:
    """In Ref-YouTube-VOS an object may come later than the sampled frames; a no-target sentence has none at all."""
    source = ReferringClips(_sets({"data": SETS["ref-youtube-vos"]}, frame_range=0), 0, "s")
    counts = Counter(len(source.clip(index, 1).sentences[0].masks) for index in range(60))
    assert counts[0] > 0
    assert counts[1] > 0
    source = ReferringClips(_sets({"data": SETS["mevis-v2"]}), 0, "s")
    (samples,) = source._sets
    aimless = {samples[number].text for number in range(len(samples)) if not samples[number].expression.target_ids}
    clips = [source.clip(index, 2).sentences[0] for index in range(len(samples))]
    assert aimless
    assert all(len(sentence.masks) == 0 for sentence in clips if sentence.text in aimless)


def test_pictures_become_pseudo_videos_with_small_letters() -> None:
    """The frames of a clip of RefCOCOg differ; those of one frame are not turned."""
    source = ReferringClips(_sets({"data": SETS["refcocog"]}), 0, "s")
    clips = [source.clip(index, 4) for index in range(4)]
    assert all(not np.array_equal(clip.frames[0], clip.frames[-1]) for clip in clips)
    assert all(clip.sentences[0].text.islower() for clip in clips)
    still = ReferringClips(_sets({"data": SETS["refcocog"]}, rotation_deg=0.0), 0, "s")
    assert np.array_equal(source.clip(0, 1).frames, still.clip(0, 1).frames)


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """The miniature Ref-YouTube-VOS with broken pictures in one of its videos."""
    root = tmp_path / "broken"
    for part in ("train", "meta_expressions/train"):
        shutil.copytree(ROOTS["ref-youtube-vos"] / part, root / part)
    for picture in min((root / "train" / "JPEGImages").iterdir()).iterdir():
        picture.write_bytes(b"no picture")
    return root


def test_broken_samples_are_named_and_replaced(damaged: Path) -> None:
    """By another sample of the set, the same one each time."""
    data = _sets({"data": f"ref-youtube-vos:{damaged}"}, broken_share=0.9)
    source, again = (ReferringClips(data, 0, "s") for _ in range(2))
    clips = [source.clip(index, 2) for index in range(8)]
    broken = [clip for clip in clips if clip.broken]
    assert 0 < len(broken) < len(clips)
    assert "cannot be read as a picture" in broken[0].broken[0].reason
    assert f"ref-youtube-vos:{damaged}, video" in broken[0].broken[0].sample
    for index, clip in enumerate(clips):
        assert np.array_equal(clip.frames, again.clip(index, 2).frames)
        assert clip.frames.any()


def test_batch_tells_what_was_skipped_for_it(damaged: Path, stage: ClipsStage) -> None:
    """Workers send it along with the batch, and how many there may be."""
    data = _sets({"data": f"ref-youtube-vos:{damaged}"}, broken_share=0.5)
    stage = msgspec.structs.replace(stage, data=data, batch=8)
    batch = ClipBatches(stage, open_clips(stage, 0, 0), 0, 77)[0]
    (samples,) = ReferringClips(data, 0, "s")._sets
    assert batch.broken
    assert {sample.most for sample in batch.broken} == {len(samples) // 2}


def test_data_that_is_all_broken_ends_the_run(damaged: Path) -> None:
    """Naming the last sample."""
    for picture in damaged.rglob("*.jpg"):
        picture.write_bytes(b"no picture")
    source = ReferringClips(_sets({"data": f"ref-youtube-vos:{damaged}"}), 0, "first")
    with pytest.raises(
        ConfigError, match=r"stage first: 20 samples in a row are broken, the last one ref-you.*picture"
    ):
        source.clip(0, 2)


def test_broken_samples_beyond_the_share_end_the_run() -> None:
    """Each is told once; one too many is an error that names them."""
    told: list[BrokenSample] = []
    counted = BrokenSamples("s", told.append)
    counted.add([BrokenSample("a", "cut off", 2), BrokenSample("a", "cut off", 2), BrokenSample("b", "empty", 2)])
    with pytest.raises(ConfigError, match=r"stage s: 3 samples are broken, and .* allows 2: a: cut off; b: empty; c"):
        counted.add([BrokenSample("c", "gone", 2)])
    assert [sample.sample for sample in told] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("data", "split", "refusal"),
    [
        ("mevis:{tmp}", "train", "stage s: .*meta_expressions"),
        ("mevis:{tmp}/nosuch", "train", "stage s: .*nosuch is no folder"),
        ("films:{tmp}", "train", "stage s: data is 'films:"),
        (SETS["mevis"], "test", "stage s: MeViS has no split 'test'"),
        (SETS["mevis"], "valid", "stage s: .*split valid has no sentence with masks"),
    ],
    ids=["format", "folder", "kind", "split", "masks"],
)
def test_data_that_cannot_be_trained_on_is_refused(data: str, split: str, refusal: str, tmp_path: Path) -> None:
    """Naming stage and place."""
    with pytest.raises(ConfigError, match=refusal):
        ReferringClips(_sets({"data": data.format(tmp=tmp_path), "split": split}), 0, "s")


def test_held_out_clips_are_the_same_each_time_and_no_longer_than_asked_for() -> None:
    """From the middle of a video; the annotated frame alone where not all are."""
    for kind, longest, lengths in (("mevis", 3, {2, 3}), ("a2d-sentences", 3, {1})):
        config = ValidationConfig(every=1, data=SETS[kind], split="train", clips=4, frames=longest)
        found = []
        for _ in range(2):
            samples = open_held_out(config)
            assert samples is not None
            data = HeldOutClips(samples, config.clips, config.frames, "held out")
            assert len(data.videos) == min(4, len(samples))
            found.append([(video.name, video.sentences) for video in data.videos])
            for video in data.videos:
                frames = data.frames(video.name)
                masks = data.targets(video.name, video.sentences[0].expression_id)
                assert masks.shape[1:] == frames.shape[:3]
                assert len(frames) in lengths
        assert found[0] == found[1]
    assert open_held_out(ValidationConfig(every=1)) is None
