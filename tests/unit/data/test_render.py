"""Pixels and masks."""

import hashlib
import subprocess
import sys
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from ssa_stream.data import demo_scene, render, sample_scene
from ssa_stream.data.synthetic.render import SceneRenderer, renderer
from ssa_stream.data.synthetic.scene import Scene
from ssa_stream.data.synthetic.seeds import Split
from ssa_stream.errors import ConfigError

SPLITS: tuple[Split, ...] = ("train", "val", "test")

_DIGEST = """
import hashlib
from ssa_stream.data import render, sample_clip, sample_scene
digest = hashlib.sha256()
for seed in range(6):
    frame = render(sample_scene(seed, split="val"), 5 * seed)
    digest.update(frame.image.tobytes() + frame.masks.tobytes())
    clip = sample_clip(seed, 6, (64, 96))
    digest.update(clip.frames.tobytes() + clip.masks.tobytes() + clip.text.encode())
print(digest.hexdigest())
"""


def _alone(scene: Scene, index: int, t: int) -> npt.NDArray[np.bool_]:
    return np.asarray(render(replace(scene, objects=(scene.objects[index],), occluders=()), t).masks[0])


def test_render_in_two_other_processes_gives_the_same_bytes() -> None:
    """Whatever the seed of string hashes is."""
    runs = [
        subprocess.run([sys.executable, "-c", _DIGEST], capture_output=True, check=True, env={"PYTHONHASHSEED": str(n)})
        for n in (1, 2)
    ]
    assert len(runs[0].stdout.strip()) == hashlib.sha256().digest_size * 2
    assert runs[0].stdout == runs[1].stdout


def test_render_in_any_order_gives_the_same_frames() -> None:
    """A fresh renderer and the kept one agree."""
    scene = sample_scene(11)
    forwards = [SceneRenderer(scene).frame(t)[0] for t in (0, 4, 9)]
    backwards = [renderer(scene).frame(t)[0] for t in (9, 4, 0)]
    for first, second in zip(forwards, backwards[::-1], strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("split", SPLITS)
def test_masks_are_each_object_alone_minus_what_is_in_front(split: Split) -> None:
    """Visible masks are exact, pixel for pixel."""
    for seed in range(12):
        scene = sample_scene(seed, split=split)
        if scene.occluders:
            continue
        t = 3 * seed
        masks = render(scene, t).masks
        for index, thing in enumerate(scene.objects):
            expected = _alone(scene, index, t)
            for other_index, other in enumerate(scene.objects):
                if other.depth > thing.depth:
                    expected = expected & ~_alone(scene, other_index, t)
            np.testing.assert_array_equal(masks[index], expected)


def test_masks_where_a_block_stands_in_front_are_empty() -> None:
    """Static occluders cut the masks."""
    scenes = [sample_scene(seed) for seed in range(60)]
    scene = next(s for s in scenes if s.occluders and s.occluders[0].depth >= len(s.objects) and not s.jitter.amplitude)
    block, unit = scene.occluders[0], scene.unit_px
    row, column = int(np.clip(block.y * unit, 0, scene.height - 1)), int(np.clip(block.x * unit, 0, scene.width - 1))
    for t in range(0, 60, 3):
        assert not render(scene, t).masks[:, row, column].any()


def test_mask_pixels_show_the_colour_of_their_object() -> None:
    """Image and mask agree, in RGB order."""
    scene = demo_scene(320, 180, 12.0)
    frame = render(scene, 3)
    red = frame.image[frame.masks[0]].astype(int)
    assert np.median(red[:, 0]) > 190
    assert np.median(red[:, 1]) < 60


def test_frame_of_any_scene_has_the_promised_types() -> None:
    """Shapes and dtypes of the public result."""
    frame = render(sample_scene(0), 0)
    assert frame.image.shape == (128, 224, 3)
    assert frame.image.dtype == np.uint8
    assert frame.masks.shape == (len(frame.ids), 128, 224)
    assert frame.masks.dtype == np.bool_


def test_render_hours_later_still_shows_the_demo_objects() -> None:
    """Nothing drifts away for good."""
    scene = demo_scene(160, 90, 30.0)
    for t in range(1_000_000, 1_000_400, 40):
        assert render(scene, t).masks.any(axis=(1, 2)).sum() >= 5


def test_render_of_a_negative_frame_is_refused() -> None:
    """With the number that came."""
    with pytest.raises(ConfigError, match="frame -1"):
        render(demo_scene(), -1)


def test_scene_scales_with_the_frame_size() -> None:
    """The same picture, in more pixels."""
    small, large = render(demo_scene(160, 90, 10.0), 7).masks, render(demo_scene(320, 180, 10.0), 7).masks
    shares = [masks.mean(axis=(1, 2)) for masks in (small, large)]
    np.testing.assert_allclose(shares[0], shares[1], rtol=0.12)
