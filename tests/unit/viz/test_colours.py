"""Colours that stay, and can be told apart."""

from itertools import combinations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from ssa_stream.viz import prompt_colours
from ssa_stream.viz.colours import PALETTE

LEAST_DISTANCE = 15.0
# Linear RGB as people without one kind of cone see it. Source: Machado, Oliveira and Fernandes, A Physiologically-based
# Model for Simulation of Color Vision Deficiency (2009), severity 1.0.
VISIONS = {
    "all": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}


def _lab(vision: str) -> NDArray[np.float32]:
    """The palette in CIE L*a*b*, as seen with a vision."""
    value = np.array(PALETTE) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(VISIONS[vision]).T, 0, 1)
    encoded = np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)
    return np.asarray(cv2.cvtColor(encoded[None].astype(np.float32), cv2.COLOR_RGB2Lab)[0], dtype=np.float32)


@pytest.mark.parametrize("vision", VISIONS)
def test_palette_can_be_told_apart_with_any_vision(vision: str) -> None:
    """Any two differ by a CIE76 distance that nobody overlooks."""
    for one, other in combinations(_lab(vision), 2):
        assert np.linalg.norm(one - other) > LEAST_DISTANCE


def test_numbered_prompts_take_the_palette_in_order() -> None:
    """A colour follows from the id alone, whichever others there are."""
    ids = [f"p{number}" for number in range(1, len(PALETTE) + 1)]
    assert tuple(prompt_colours(ids).values()) == PALETTE
    for prompt_id in ids:
        assert prompt_colours([prompt_id]) == {prompt_id: prompt_colours(ids)[prompt_id]}
        others = [one for one in ids if one != prompt_id]
        assert prompt_colours(others) == {one: prompt_colours(ids)[one] for one in others}


def test_other_ids_get_colours_that_differ_while_there_are_enough() -> None:
    """Named prompts beside numbered ones; a number that is too long for one is a name; any text is an id."""
    ids = ["door", "p1", "dog", "p", "p0", "p" + "1" * 5000, "Tür \ud800", "кот"]
    colours = prompt_colours(ids)
    assert sorted(colours.values()) == sorted(PALETTE)
    assert len(prompt_colours([*ids, "one more"])) == len(ids) + 1


def test_prompts_that_come_later_change_nothing() -> None:
    """Not even those that would have had the colour: p9 would be p1's, door that of another."""
    ids = ["p1", "p2", "p9", "door", "p3", "cat", "p10", "p11", "p4", "p12"]
    for count in range(1, len(ids)):
        before, after = prompt_colours(ids[:count]), prompt_colours(ids[: count + 1])
        assert {one: after[one] for one in before} == before


def test_removal_changes_only_prompts_that_had_been_in_its_way() -> None:
    """p9 gets its own colour when p1 is gone; the others keep theirs."""
    before, after = prompt_colours(["p1", "p3", "p9"]), prompt_colours(["p3", "p9"])
    assert before["p9"] != after["p9"] == before["p1"]
    assert before["p3"] == after["p3"]
