"""The page draws as the library does: the same cases are given to both, pixel by pixel."""

import base64
import json
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ssa_stream.viz.colours import PALETTE
from ssa_stream.viz.labels import largest_piece, place_labels
from ssa_stream.viz.outlines import LineStyle, Outlined, draw_outlines
from ssa_stream.viz.overlay import DEFAULT_OPACITY
from ssa_stream.viz.text import PLATE
from tests.support.chromium import Page, chromium_path, open_page
from tests.support.components import require
from tests.support.gateway import gateway
from tests.support.mask_messages import circle

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.usefixtures("no_idle_threads")]

SIZE = (360, 640)
# Two objects of the first prompt that touch, one of the second upon both, one at the corner of the picture, and one in
# two pieces, the smaller one up left of everything.
MASKS = [
    (0, 1, circle(SIZE, (120, 150), 60)),
    (0, 2, circle(SIZE, (120, 270), 60)),
    (1, 1, circle(SIZE, (150, 210), 80)),
    (1, 2, circle(SIZE, (350, 630), 90)),
    (1, 3, circle(SIZE, (20, 30), 12) | circle(SIZE, (300, 330), 40)),
]
GREY = 90
STAGE = """(async () => {
  const { Stage } = await import('/stage.js');
  const [height, width] = SIZE, labels = MAPS.map((one) => Uint8Array.from(atob(one), (c) => c.charCodeAt(0)));
  const stage = new Stage(document.createElement('canvas'), document.createElement('video'));
  const look = { text: 'the person with the long umbrella', isShown: true, isSingle: false, threshold: 0.5 };
  const looks = { p1: { ...look, colour: COLOURS[0], place: 0 }, p2: { ...look, colour: COLOURS[1], place: 1 } };
  stage.look = (id) => looks[id];
  stage.mode = 'newest';
  stage.begin(false);
  const grey = new OffscreenCanvas(width, height), context = grey.getContext('2d');
  context.fillStyle = 'rgb(GREY, GREY, GREY)';
  context.fillRect(0, 0, width, height);
  stage.pictures = [{ bitmap: grey.transferToImageBitmap(), time: 0, at: performance.now() }];
  const shown = TRACKS.map((tracks, i) => ({ prompt: 'p' + (i + 1), version: 1, epoch: 0, index: 1, size: SIZE,
    source_size: SIZE, tracks, labels: [labels[i]] }));
  // The masks of the second prompt come first.
  const masks = new Map(shown.reverse().map((one) => [one.prompt, one]));
  stage.shown = { index: 1, masks, picture: null, key: null, at: performance.now() };
  while (!stage.labels.length) await new Promise(requestAnimationFrame);
  const pixels = stage.canvas.getContext('2d').getImageData(0, 0, width, height).data;
  stage.end();
  return [btoa(Array.from(pixels, (one) => String.fromCharCode(one)).join('')), stage.labels];
})()"""


def _label_maps() -> list[NDArray[np.uint8]]:
    maps = [np.zeros(SIZE, dtype=np.uint8) for _ in range(2)]
    for prompt, label, mask in MASKS:
        maps[prompt][mask & (maps[prompt] == 0)] = label
    return maps


def _drawn_by_the_library() -> NDArray[np.uint8]:
    maps = _label_maps()
    picture = np.full((*SIZE, 3), GREY, dtype=np.uint8)
    objects = [Outlined(maps[prompt] == label, PALETTE[prompt], prompt == 0) for prompt, label, _ in MASKS]
    draw_outlines(picture, objects, LineStyle.of_picture(*SIZE, DEFAULT_OPACITY))
    return picture


async def _drawn_by_the_page(page: Page) -> tuple[NDArray[np.uint8], list[list[int]]]:
    """The canvas, and where labels are on it."""
    tracks: list[list[dict[str, Any]]] = [[], []]
    for number, (prompt, label, mask) in enumerate(MASKS, start=1):
        rows, columns = np.nonzero(mask)
        box = [int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1]
        tracks[prompt].append(
            {"id": number, "score": 0.9, "box": box, "area": int(mask.sum()), "layer": 0, "label": label}
        )
    script = STAGE
    for name, value in (
        ("MAPS", [base64.b64encode(one.tobytes()).decode() for one in _label_maps()]),
        ("TRACKS", tracks),
        ("COLOURS", PALETTE[:2]),
        ("SIZE", SIZE),
        ("GREY", GREY),
    ):
        script = script.replace(name, json.dumps(value))
    pixels, labels = await page.evaluate(script)
    return np.frombuffer(base64.b64decode(pixels), dtype=np.uint8).reshape(*SIZE, 4)[..., :3], labels


async def test_page_draws_masks_and_places_labels_as_the_library(tmp_path: Path) -> None:
    """A canvas of the stage; styles of many sizes; places of many labels."""
    require("a browser (Chromium)", chromium_path() is not None, "apt-get install chromium")
    (tmp_path / "profile").mkdir()
    async with gateway(tmp_path) as url, open_page(tmp_path / "profile") as page:
        await page.go(url)
        drawn, labels = await _drawn_by_the_page(page)
        assert len(labels) == len(MASKS)
        assert (labels[-1][0], labels[-1][1]) == (290, 341), "the label of the last one is right below its larger piece"
        expected, unlabelled = _drawn_by_the_library(), np.ones(SIZE, dtype=np.bool_)
        for left, top, right, bottom in labels:
            assert (left >= 0, top >= 0, right <= SIZE[1], bottom <= SIZE[0]) == (True,) * 4
            assert (drawn[top:bottom, left:right] == PLATE).all(axis=2).mean() > 0.3
            unlabelled[top:bottom, left:right] = False
        for one, other in combinations(labels, 2):
            assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
        np.testing.assert_array_equal(drawn[unlabelled], expected[unlabelled])

        sizes = [(1, 1), (48, 64), (300, 180), (360, 640), (720, 1280), (2160, 3840)]
        calls = ",".join(f"Object.values(m.lineStyle({height}, {width}))" for height, width in sizes)
        styles = await page.evaluate(f"import('/drawing.js').then(m => [{calls}])")
        assert styles == [list(LineStyle.of_picture(*size, DEFAULT_OPACITY)) for size in sizes]

        random = np.random.default_rng(1)
        for share in (0.05, 0.3, 0.45, 0.7):  # specks, and pieces that touch at corners alone
            mask = random.random((24, 40)) < share
            case = f"{mask.astype(int).ravel().tolist()}, 1, [0, 0, 40, 24], 40"
            piece = largest_piece(mask)
            assert piece is not None
            assert await page.evaluate(f"import('/drawing.js').then(m => m.largestPiece({case}))") == list(piece)

        for picture, top in (((640, 360), 0), ((64, 48), 13), ((320, 200), 30)):
            corners = random.integers(-20, max(picture), (40, 2, 2))
            ends = [(one.min(0).tolist(), (one.max(0) + 1).tolist()) for one in corners]
            boxes = [(left, upper, right, lower) for (left, upper), (right, lower) in ends]
            own = [[(int(width), 13), (18, 13)] for width in random.integers(20, 120, 40)]
            case = ", ".join(json.dumps(one) for one in (boxes, own, picture, top))
            placed = await page.evaluate(f"import('/drawing.js').then(m => m.placeLabels({case}))")
            places = place_labels(boxes, own, picture, top=top)
            assert placed == [None if one is None else one._asdict() for one in places]
        assert page.problems == []
