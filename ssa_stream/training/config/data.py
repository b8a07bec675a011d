"""Where training clips come from."""

from ssa_stream.data import ExpressionType
from ssa_stream.training.config import Settings, require

__all__ = ["MevisData", "SyntheticData"]


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

    size: tuple[int, int]
    num_clips: int | None = None
    sentences: int = 1
    min_objects: int = 2
    max_objects: int = 6
    type_weights: dict[ExpressionType, float] | None = None
    first_seed: int = 0

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


class MevisData(Settings, frozen=True, kw_only=True, tag="mevis", tag_field="source"):
    """Clips of a data set in the MeViS format, sampled and augmented as the paper does.

    Attributes:
        folder: The split's directory, relative to the working directory.
        frame_range: The other frames are drawn within this distance of the reference frame.
        crop_probability: Chance that a clip is cropped by a drifting window.
        flip_probability: Chance of a horizontal flip of clips whose sentence names no side.
        flip_sided: Whether clips whose sentence says left or right are flipped too, with the words left as they are.
        short_edges_px: The shortest edge is resized to one of these.
        long_edge_px: Limit of the longest edge.
    """

    folder: str
    frame_range: int = 10
    crop_probability: float = 0.5
    flip_probability: float = 0.5
    flip_sided: bool = False
    short_edges_px: tuple[int, ...] = (288, 320, 352, 384, 416, 448, 480, 512)
    long_edge_px: int = 768
