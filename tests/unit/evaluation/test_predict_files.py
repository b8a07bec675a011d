"""What a prediction writes for each data set: names, forms, and masks that the offline forward gives."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from ssa_stream.data import ReferringData
from ssa_stream.evaluation.predict.clip import PreparedClip, sentence_logits
from ssa_stream.evaluation.predict.merging import FirstWins, SoftMerge, davis_palette
from ssa_stream.evaluation.predict.objects import samples_of
from ssa_stream.model import segment_clip
from ssa_stream.model.preprocess import frame_sizes
from ssa_stream.run_lengths import decode_counts
from tests.support.data_sets import ROOTS
from tests.support.tiny_model import tiny_model
from tests.unit.evaluation.predicting import EDGES_PX, Run, opened

pytestmark = pytest.mark.usefixtures("one_thread")

FRAMES = {
    "mevis": ("mevis", "valid_u", "valid_u"),
    "mevis-v2": ("mevis-v2", "valid", "valid"),
    "ref-youtube-vos": ("ref-youtube-vos", "valid", "Annotations"),
    "ref-davis17-converted": ("ref-davis17-converted", "valid", "valid"),
}
OBJECTS = {
    "a2d-sentences": ("a2d-sentences", "test"),
    "jhmdb-sentences": ("jhmdb-sentences", "test"),
    "refcoco": ("refcoco", "val"),
}


def _segmented(data: ReferringData, video: str, text: str, mode: Any) -> NDArray[np.bool_]:
    """The same masks by the library's own call, which sees the whole clip."""
    threshold = 0.5 if mode == "multi" else 0.0
    found = segment_clip(
        tiny_model(),
        list(data.frames(video)),
        text,
        mode=mode,
        threshold=threshold,
        short_edge_px=EDGES_PX[0],
        long_edge_px=EDGES_PX[1],
    )
    return found.merged().numpy()


@pytest.mark.parametrize(("root", "split", "folder"), FRAMES.values(), ids=FRAMES)
def test_pictures_of_every_sentence_are_masks_of_the_offline_forward(
    root: str, split: str, folder: str, tmp_path: Path
) -> None:
    """One grey picture for each frame, of the frame's size; nothing else is in the folder."""
    run = Run(ROOTS[root], root, split, tmp_path / "out")
    outcome = run.all()
    assert outcome.results == tmp_path / "out" / folder
    data, mode = run.data, "multi" if root.startswith("mevis") else "single"
    expected = {
        f"{name}/{expression.expression_id}/{frame}.png"
        for name in data.videos
        for expression in data.video(name).expressions
        for frame in data.video(name).frames
    }
    assert {path.relative_to(outcome.results).as_posix() for path in outcome.results.rglob("*.png")} == expected
    for name in list(data.videos)[:2]:
        for expression in data.video(name).expressions[:2]:
            masks = _segmented(data, name, expression.text, mode)
            for mask, frame in zip(masks, data.video(name).frames, strict=True):
                with Image.open(outcome.results / name / expression.expression_id / f"{frame}.png") as picture:
                    assert picture.mode == "L"
                    np.testing.assert_array_equal(np.asarray(picture), mask * np.uint8(255))


def test_zip_for_the_server_holds_the_masks_below_their_published_names(tmp_path: Path) -> None:
    """Ref-YouTube-VOS wants a folder around all, MeViS does not; the bytes are those of the folder."""
    outcomes = {}
    for root, prefix in (("ref-youtube-vos", "Annotations/"), ("mevis-v2", "")):
        outcome = Run(ROOTS[root], root, "valid", tmp_path / root).all(with_zip=True)
        assert outcome.zip is not None
        assert outcome.results is not None
        files = {prefix + path.relative_to(outcome.results).as_posix(): path for path in outcome.results.rglob("*.png")}
        with zipfile.ZipFile(outcome.zip) as archive:
            assert sorted(archive.namelist()) == sorted(files)
            assert all(archive.read(name) == path.read_bytes() for name, path in files.items())
        outcomes[root] = outcome.zip.name
    assert outcomes == {"ref-youtube-vos": "ref-youtube-vos_valid.zip", "mevis-v2": "mevis_valid.zip"}


@pytest.mark.parametrize(("root", "split"), OBJECTS.values(), ids=OBJECTS)
def test_answers_are_all_queries_of_every_annotated_frame_alone(root: str, split: str, tmp_path: Path) -> None:
    """Names, scores and masks are those of the offline forward of one frame; boxes lie around the masks."""
    run = Run(ROOTS[root], root, split, tmp_path / "out")
    outcome = run.all()
    assert outcome.results is not None
    answers = json.loads(outcome.results.read_text())
    queries = tiny_model().config.num_queries
    samples = [
        (name, expression.text, index, image_id)
        for name in run.data.videos
        for expression in run.data.video(name).expressions
        for index, image_id in zip(expression.annotated or (), expression.sample_ids, strict=True)
    ]
    assert [answer["image_id"] for answer in answers] == [one for *_, one in samples for _ in range(queries)]
    for number in (0, len(samples) - 1):
        name, text, index, _ = samples[number]
        found = segment_clip(
            tiny_model(),
            list(run.data.frames(name, [index])),
            text,
            threshold=-1.0,
            short_edge_px=EDGES_PX[0],
            long_edge_px=EDGES_PX[1],
        )
        own = answers[number * queries : (number + 1) * queries]
        np.testing.assert_allclose([one["score"] for one in own], found.scores.numpy(), rtol=1e-4)
        for answer, mask in zip(own, found.masks[:, 0].numpy(), strict=True):
            assert answer["category_id"] == 1
            size = tuple(answer["segmentation"]["size"])
            np.testing.assert_array_equal(decode_counts(answer["segmentation"]["counts"], size), mask)
            assert ("bbox" in answer) == (root == "refcoco")
            if root == "refcoco":
                left, top, right, bottom = map(int, answer["bbox"])
                inside = np.zeros_like(mask)
                inside[top:bottom, left:right] = True
                assert not (mask & ~inside).any()
                assert inside.any() == mask.any()


def test_window_lies_around_the_annotated_frame_and_is_clamped_to_the_clip() -> None:
    """The published indices: one more frame before than behind, and the first and last one again beyond the ends."""
    data = opened(ROOTS["a2d-sentences"], "a2d-sentences", "test")
    video = data.video("_9x-YzQ0w1E")
    (first, *_) = [one for one in samples_of(video.expressions, len(video.frames), 8) if "_f_1_" in str(one.image_id)]
    assert (first.window, first.target) == ((0, 0, 0, 0, 0, 1, 2, 3), 4)
    last = samples_of(video.expressions, 10, 3)[-1]
    assert (last.window, last.target) == ((8, 9, 9), 1)
    alone = samples_of(video.expressions, len(video.frames), 1)
    assert [one.window for one in alone] == [(one.window[0],) for one in alone]


def test_windows_of_answers_see_their_frames_in_order(tmp_path: Path) -> None:
    """The masks are those of the annotated frame in a window that went through the network as one clip."""
    run = Run(ROOTS["jhmdb-sentences"], "jhmdb-sentences", "test", tmp_path / "out", window=4)
    outcome = run.all()
    assert outcome.results is not None
    answers = json.loads(outcome.results.read_text())
    name = run.data.videos[0]
    (expression,) = run.data.video(name).expressions
    sample = samples_of([expression], len(run.data.video(name).frames), 4)[1]
    found = segment_clip(
        tiny_model(),
        list(run.data.frames(name, sample.window)),
        expression.text,
        threshold=-1.0,
        short_edge_px=EDGES_PX[0],
        long_edge_px=EDGES_PX[1],
    )
    own = [answer for answer in answers if answer["image_id"] == sample.image_id]
    np.testing.assert_allclose([one["score"] for one in own], found.scores.numpy(), rtol=1e-4)
    for answer, mask in zip(own, found.masks[:, sample.target].numpy(), strict=True):
        np.testing.assert_array_equal(
            decode_counts(answer["segmentation"]["counts"], tuple(answer["segmentation"]["size"])), mask
        )


def test_merged_pictures_of_an_annotator_follow_both_published_rules(tmp_path: Path) -> None:
    """Palette pictures; the rules applied to masks and probabilities of all objects at once give the same."""
    run = Run(ROOTS["ref-davis17-raw"], "ref-davis17-raw", "valid", tmp_path / "out")
    run.all()
    name, annotator = "motorbike", 1
    video, frames = run.data.video(name), run.data.frames(name)
    clip = PreparedClip(tiny_model(), len(frames))
    sizes = frame_sizes((frames.shape[1], frames.shape[2]), EDGES_PX)
    resized = [Image.fromarray(one).resize(sizes.network[::-1], Image.Resampling.BILINEAR) for one in frames]
    clip.add(tuple(range(len(frames))), np.stack([np.asarray(one) for one in resized]), sizes)
    logits = torch.stack(
        [
            torch.cat(list(sentence_logits(tiny_model(), clip, tiny_model().encode_text([one.text]), "single")))
            for one in video.expressions
            if int(one.expression_id) % 4 == annotator
        ]
    )
    assert len(logits) > 1
    soft = logits.sigmoid()
    soft[soft < 0.5] = 0
    merged_soft = torch.cat([torch.full_like(soft[:1], 0.1), soft]).argmax(dim=0).numpy()
    inside = (logits > 0).numpy()
    merged_first = np.where(inside.any(axis=0), inside.argmax(axis=0) + 1, 0)
    for folder, labels in (("merged_soft", merged_soft), ("merged_first_wins", merged_first)):
        for frame, expected in zip(video.frames, labels, strict=True):
            with Image.open(tmp_path / "out" / folder / f"anno_{annotator}" / name / f"{frame}.png") as picture:
                assert picture.mode == "P"
                assert bytes(picture.getpalette() or ())[:768] == davis_palette()
                np.testing.assert_array_equal(np.asarray(picture), expected)


def test_rules_of_merging_differ_where_objects_overlap() -> None:
    """The first object wins, or the most probable one; equal ones leave the first, and less than one half is none."""
    probabilities = np.array([[[[0.6, 0.6, 0.49, 0.7]]], [[[0.9, 0.6, 0.3, 0.2]]]], np.float32)
    first, soft = FirstWins((1, 1, 4)), SoftMerge((1, 1, 4))
    for label, probability in enumerate(probabilities, 1):
        first.add(label, 0, probability > 0.5)
        soft.add(label, 0, probability)
    assert first.labels.ravel().tolist() == [1, 1, 0, 1]
    assert soft.labels.ravel().tolist() == [2, 1, 0, 1]


def test_palette_is_the_one_of_davis() -> None:
    """As in the annotations of the data set."""
    with Image.open(next((ROOTS["ref-davis17-raw"] / "DAVIS/Annotations/480p").rglob("*.png"))) as picture:
        assert bytes(picture.getpalette() or ()) == davis_palette()


def test_long_clip_is_the_same_when_nothing_of_it_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clip whose stems would take too much memory has them made again for each sentence."""
    frames = opened(ROOTS["mevis"], "mevis", "valid_u").frames("5e0d7c31b2a9")
    sizes = frame_sizes((frames.shape[1], frames.shape[2]), EDGES_PX)
    resized = [Image.fromarray(one).resize(sizes.network[::-1], Image.Resampling.BILINEAR) for one in frames]
    logits = []
    for limit in (2**30, 0):
        monkeypatch.setattr("ssa_stream.evaluation.predict.clip._MOST_STEM_BYTES", limit)
        clip = PreparedClip(tiny_model(), len(frames))
        for start in (0, 4):
            chunk = np.stack([np.asarray(one) for one in resized[start : start + 4]])
            clip.add(tuple(range(start, start + len(chunk))), chunk, sizes)
        text = tiny_model().encode_text(["a dog"])
        logits.append(torch.cat(list(sentence_logits(tiny_model(), clip, text, "single", window=4))))
    torch.testing.assert_close(*logits, rtol=1e-4, atol=1e-4)
