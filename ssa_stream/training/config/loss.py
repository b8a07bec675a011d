"""Weights and forms of the losses."""

from ssa_stream.training.config import Settings, require

__all__ = ["LossConfig"]


class LossConfig(Settings, frozen=True, kw_only=True):
    """The losses of the published training.

    Attributes:
        class_weight: Weight of the class loss, and of the class in matching.
        mask_weight: Weight of the mask's cross-entropy, in loss and matching.
        dice_weight: Weight of the dice loss, in loss and matching.
        similarity_weight: Weight of the similarity loss. The published code multiplies by 1 where 0.5 is configured.
        no_object_weight: Weight of unmatched queries in the class loss.
        num_points: Points at which masks are compared.
        frame_layers: Last layers of the frame decoder whose queries go through the video decoder, as extra batch.
        misordered_similarity: Take the embeddings of the similarity loss by indices of another order, as the
            published code does.
    """

    class_weight: float = 2.0
    mask_weight: float = 5.0
    dice_weight: float = 5.0
    similarity_weight: float = 0.5
    no_object_weight: float = 0.1
    num_points: int = 12544
    frame_layers: int = 3
    misordered_similarity: bool = False

    def __post_init__(self) -> None:
        require(self.num_points >= 1, f"loss.num_points is {self.num_points}; expected 1 or more")
        require(self.frame_layers >= 1, f"loss.frame_layers is {self.frame_layers}; expected 1 or more")
