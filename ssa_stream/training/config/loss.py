"""Weights and forms of the losses."""

import msgspec

__all__ = ["LossConfig"]


class _Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Frozen, keyword-only, unknown keys refused."""


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


class LossConfig(_Config, frozen=True, kw_only=True):
    """Weights and forms of the losses.

    Attributes:
        class_weight: Weight of the class loss, and of the class in matching.
        mask_weight: Weight of the mask's cross-entropy, in loss and matching.
        dice_weight: Weight of the dice loss, in loss and matching.
        similarity_weight: Weight of the similarity loss. The published code multiplies by 1 where 0.5 is configured.
        location_weight: Weight of telling locations from features and from objects' frame queries, and motion from slots.
            Not in the published recipe, whose queries come from a pre-trained segmenter; without it, a short training
            gets no sense of motion.
        outline_weight: Weight of telling, from objects' frame queries, which way they are turned and how large they
            are. Not in the published recipe; what spins and grows cannot be told without.
        token_weight: Weight of telling from the pixel decoder's features what all objects look like, and which tokens
            are meant. Not in the published recipe either; needs data that knows looks.
        slot_weight: Weight, in matching objects to video queries, of the part of frames in which the query's slot
            holds the object's frame query: each video query is then asked about the object that it starts from. Not
            in the published recipe, whose video decoder is free to look for objects in all slots.
        all_objects: Ask queries for the masks of all objects of a clip, and by their class for those that are meant.
            Not in the published recipe, which asks for the meant ones alone and starts from a segmenter that knows
            things. Needs data that knows all objects.
        no_object_weight: Weight of unmatched queries in the class loss.
        duplicate_iou: An unmatched video query whose mask overlaps an object's by more than this is a duplicate, and
            has the object's class and a weight of 1; a stream drops duplicates by their masks. 0 asks of duplicates to
            be told apart by their class, as published.
        num_points: Points at which masks are compared.
        oversampling: Candidates per point when uncertain points are looked for.
        uncertain_fraction: Part of the points that are the most uncertain candidates.
        frame_layers: Last layers of the frame decoder whose queries go through the video decoder, as extra batch.
        misordered_similarity: Take the embeddings of the similarity loss by indices of another order, as the
            published code does.
        frame_weight: Factor on all frame-level losses.
        video_weight: Factor on all video-level losses.
    """

    class_weight: float = 2.0
    mask_weight: float = 5.0
    dice_weight: float = 5.0
    similarity_weight: float = 0.5
    location_weight: float = 0.0
    outline_weight: float = 0.0
    token_weight: float = 0.0
    slot_weight: float = 0.0
    all_objects: bool = False
    no_object_weight: float = 0.1
    duplicate_iou: float = 0.0
    num_points: int = 12544
    oversampling: float = 3.0
    uncertain_fraction: float = 0.75
    frame_layers: int = 3
    misordered_similarity: bool = False
    frame_weight: float = 1.0
    video_weight: float = 1.0

    def __post_init__(self) -> None:
        _require(self.num_points >= 1, f"loss.num_points is {self.num_points}; expected 1 or more")
        _require(self.frame_layers >= 1, f"loss.frame_layers is {self.frame_layers}; expected 1 or more")
        _require(0 <= self.duplicate_iou < 1, f"loss.duplicate_iou is {self.duplicate_iou}; expected 0..1")
        _require(
            self.oversampling >= 1 and 0 <= self.uncertain_fraction <= 1,
            f"loss.oversampling is {self.oversampling} and loss.uncertain_fraction {self.uncertain_fraction}; "
            f"expected at least 1 and 0..1",
        )
