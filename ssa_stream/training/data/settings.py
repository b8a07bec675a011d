"""Settings of what is trained on: generated clips, or public data sets and how they are mixed and augmented."""

from typing import Annotated

from msgspec import Meta

from ssa_stream.data import ExpressionType
from ssa_stream.training.settings import EdgePx, Objects, Settings, Share, Weight, Whole, require

__all__ = ["ReferringSets", "SyntheticData", "TrainingSet"]

_Place = Annotated[str, Meta(min_length=1, max_length=4096)]
_EdgesPx = Annotated[tuple[EdgePx, ...], Meta(min_length=1, max_length=100)]
_SMALLEST_SHARE = 0.001


class SyntheticData(Settings, frozen=True, kw_only=True, tag="synthetic", tag_field="source"):
    """Clips from the generator.

    Attributes:
        size: Height and width in pixels.
        num_clips: Number of distinct clips, repeated in new order; None never repeats one.
        sentences: Sentences per clip, about different objects where there are any; they share the clip's pixels.
        min_objects: Fewest objects in a scene.
        max_objects: Most objects in a scene.
        type_weights: How often each type of sentence is asked for; None takes the generator's own. Of a picture,
            sentences about motion are among the further ones only, and mean every object that looks as they say.
        first_seed: Seed of the first clip.
    """

    size: tuple[EdgePx, EdgePx]
    num_clips: Whole | None = None
    sentences: Annotated[int, Meta(ge=1, le=64)] = 1
    min_objects: Objects = 2
    max_objects: Objects = 6
    type_weights: dict[ExpressionType, Weight] | None = None
    first_seed: Whole = 0

    def __post_init__(self) -> None:
        require(min(self.size) >= 32, f"data.size is {self.size}; expected (height, width) of at least 32 each")
        require(
            self.num_clips is None or self.num_clips >= 1, f"data.num_clips is {self.num_clips}; expected 1 or more"
        )
        require(self.sentences >= 1, f"data.sentences is {self.sentences}; expected 1 or more")
        require(
            1 <= self.min_objects <= self.max_objects <= 32,
            f"data objects are {self.min_objects} to {self.max_objects}; expected 1 <= min <= max <= 32",
        )


class TrainingSet(Settings, frozen=True, kw_only=True):
    """One part of what is trained on.

    Attributes:
        data: `KIND:DIR`, relative to the working directory. Several are one set: all of their samples are drawn equally
            often.
        split: Which split of them.
        weight: How often a sample of this set is drawn, in proportion to the weights of the other sets.
    """

    data: _Place | Annotated[tuple[_Place, ...], Meta(min_length=1, max_length=16)]
    split: Annotated[str, Meta(min_length=1, max_length=100)] = "train"
    weight: Annotated[float, Meta(gt=0, le=1e6)] = 1.0

    @property
    def places(self) -> tuple[str, ...]:
        """All that `data` names."""
        return (self.data,) if isinstance(self.data, str) else self.data

    def __str__(self) -> str:
        """Data sets and split, without folders."""
        return f"{', '.join(place.partition(':')[0] for place in self.places)} ({self.split})"


class ReferringSets(Settings, frozen=True, kw_only=True, tag="referring", tag_field="source"):
    """Clips of public data sets, sampled and augmented as the paper does.

    Attributes:
        sets: What is mixed.
        frame_range: The other frames are drawn within this distance of the reference frame.
        crop_probability: Chance that a clip is cropped by a drifting window.
        flip_probability: Chance of a horizontal flip of clips whose sentence names no side.
        flip_sided: Whether clips whose sentence says left or right are flipped too, with the words left as they are.
        short_edges_px: The shortest edge is resized to one of these.
        long_edge_px: Limit of the longest edge.
        rotation_deg: Largest angle by which a picture is turned where it becomes a clip of several frames.
        broken_share: Part of all samples that may be broken. Another sample is drawn in place of a broken one; more of
            them end the run.
    """

    sets: Annotated[tuple[TrainingSet, ...], Meta(min_length=1, max_length=16)]
    frame_range: Annotated[int, Meta(ge=0, le=10_000)] = 10
    crop_probability: Share = 0.5
    flip_probability: Share = 0.5
    flip_sided: bool = False
    short_edges_px: _EdgesPx = (288, 320, 352, 384, 416, 448, 480, 512)
    long_edge_px: EdgePx = 768
    rotation_deg: Annotated[float, Meta(ge=0, le=180)] = 15.0
    broken_share: Share = 0.01

    def __post_init__(self) -> None:
        weights = [part.weight for part in self.sets]
        require(
            min(weights) >= _SMALLEST_SHARE * sum(weights),
            f"weights of data.sets are {weights}; expected at least a thousandth of their sum each",
        )
