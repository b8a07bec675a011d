"""What teaches the video decoder about motion: what objects do, what was asked, and whether the one is the other.

Of a sentence about motion, the losses of SSA say which object it means, and no more. That is a conjunction of two
things of which neither is known at first, and learning it from the outcome alone takes far longer than learning each.

Axes: `B` windows, `K` sentences, `T` frames, `N` slots and queries, `C` channels, `G` objects, `M` movements.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ssa_stream.data.synthetic.movement_sentences import CLAIM_WEIGHTS
from ssa_stream.model import SSA, align_chain
from ssa_stream.model.video_decoder import VideoDecoder, VideoDecoderLayer, VideoPrediction, pool
from ssa_stream.training.objectives.forward import decode_video, video_float32
from ssa_stream.training.objectives.losses import Reduce
from ssa_stream.training.objectives.matching import Matches
from ssa_stream.training.objectives.objective import StepLoss, set_dropout
from ssa_stream.training.tiny.attributes import head_layer
from ssa_stream.training.tiny.config import MotionStage
from ssa_stream.training.tiny.locations import LocationHeads
from ssa_stream.training.tiny.motion.kept_clips import KeptFrames
from ssa_stream.training.tiny.motion.windows import MotionBatch, MotionWindows
from ssa_stream.training.tiny.objective import tiny_video_losses
from ssa_stream.training.tiny.slots import objects_of_slots

__all__ = ["DECISION_PARTS", "SLOT_PARTS", "MotionHeads", "MotionObjective"]

SLOT_PARTS = ("location", "velocity", "actions")
"""Parts of the loss that are logged where slots are taught, unweighted."""

DECISION_PARTS = (
    *SLOT_PARTS,
    "state_actions",
    "asked",
    "decision",
    "right",
    "right_absent",
    "video_class",
    "video_mask",
)
"""The same where decisions are taught: of the last state; then the parts of sentences answered rightly, of those that
mean something and of those that mean nothing; then class and mask loss of ordinary clips."""

_EMPTY_SLOT_WEIGHT, _NOT_MEANT_WEIGHT = 0.2, 0.8


class MotionHeads(nn.Module):
    """Linear readings, thrown away after the stage.

    Args:
        dim: `C`.
        num_states: Layers of the video decoder whose states are read; 0 to read slots only.
    """

    def __init__(self, dim: int, num_states: int) -> None:
        super().__init__()
        num_movements = len(CLAIM_WEIGHTS)
        self.locations = LocationHeads(dim)
        self.actions = head_layer(dim, num_movements)
        self.state_actions = nn.ModuleList(head_layer(dim, num_movements) for _ in range(num_states))
        self.asked = nn.ModuleList(head_layer(dim, num_movements) for _ in range(num_states))


class _Slots(NamedTuple):
    """Slots of windows.

    Attributes:
        enhanced: `(B, T, N, C)`.
        initial: Pooled over time, `(B, N, C)`.
        object: Which object each slot is over, `(B, N)` int64.
        stands: Whether it is over it long enough to stand for it, `(B, N)` bool.
        empty: Whether it is over hardly anything, `(B, N)` bool.
        presence: What the video queries of a window have in common, `(B,)`.
    """

    enhanced: Tensor
    initial: Tensor
    object: Tensor
    stands: Tensor
    empty: Tensor
    presence: Tensor


class MotionObjective(nn.Module):
    """The video decoder, or its part before the layers, with what teaches it; nothing else gets a gradient.

    Args:
        model: The network; its video decoder is trained in place.
        stage: What is taught, and weights.
        reduce: Mean of a number over all devices.
    """

    def __init__(self, model: SSA, stage: MotionStage, reduce: Reduce) -> None:
        super().__init__()
        self.model, self.stage, self.reduce = model, stage, reduce
        self.decides = stage.teaches == "decisions"
        decoder = model.video_decoder
        self.heads = MotionHeads(model.config.hidden_dim, len(decoder.layers) if self.decides else 0)
        model.requires_grad_(False)
        learners: list[nn.Module] = [decoder] if self.decides else [decoder.enhancer, decoder.pooling]
        for learner in (*learners, model.mask_moments):
            learner.requires_grad_(True)
        set_dropout(model, model.config.dropout if stage.dropout is None else stage.dropout)
        self.claim_weights: Tensor
        self.register_buffer("claim_weights", torch.from_numpy(CLAIM_WEIGHTS), persistent=False)

    def forward(self, batch: MotionBatch) -> StepLoss:
        """Loss of a batch on the network's device."""
        windows, stage = batch.windows, self.stage
        with torch.autocast(windows.queries.device.type, enabled=False):
            slots, location, velocity = self._slots(windows)
            actions = self._actions(self.heads.actions(slots.initial), _rows(windows.does, slots.object), slots.stands)
            total = stage.loss.location_weight * (location + velocity)
            total = total + stage.velocity_weight * velocity + stage.action_weight * actions
            parts = torch.stack([location, velocity, actions])
            if self.decides:
                decisions = self._decisions(slots, windows)
                total, parts = total + decisions.total, torch.cat([parts, decisions.parts])
        if batch.ordinary is not None:
            ordinary = self._ordinary(batch.ordinary)
            total, parts = total + ordinary.total, torch.cat([parts, ordinary.parts[:2]])
        return StepLoss(total, parts.detach())

    def _slots(self, windows: MotionWindows) -> tuple[_Slots, Tensor, Tensor]:
        """Slots, and how wrong locations and velocities are."""
        decoder = self.model.video_decoder
        projected = decoder.project(self._located(windows.queries, windows.moments))
        aligned, order = align_chain(projected)
        enhanced = decoder.enhancer(aligned)
        initial = pool(enhanced, decoder.pooling(enhanced)[..., 0], None)
        of_frames = Matches(windows.query[None], windows.matched[None])
        location, velocity = self.heads.locations.errors(
            projected[None], enhanced[None], order[None], of_frames, windows.location, windows.velocity, windows.known
        )
        presence = decoder.presence(aligned)
        return _Slots(enhanced, initial, *objects_of_slots(order, windows.covers), presence), location, velocity

    def _actions(self, logits: Tensor, does: Tensor, counts: Tensor) -> Tensor:
        """Mean cross-entropy of what is known of the slots that count: `(..., N, M)`, `(..., N, M)`, `(..., N)`."""
        weight = (does >= 0) * counts[..., None] * self.claim_weights
        entropy = F.binary_cross_entropy_with_logits(logits, does.clamp(min=0), reduction="none")
        mean: Tensor = (entropy * weight).sum() / weight.sum().clamp(min=1)
        return mean

    def _decisions(self, slots: _Slots, windows: MotionWindows) -> StepLoss:
        """Losses of all states of the video queries."""
        stage, K = self.stage, windows.asked.shape[1]
        states = _states(self.model.video_decoder, slots, windows.text)
        counts = slots.stands[:, None] & windows.fits[..., None]  # (B, K, N)
        does = _rows(windows.does, slots.object)[:, None].expand(-1, K, -1, -1)
        of_slot = slots.object[:, None].expand(-1, K, -1)
        is_meant = windows.meant.gather(2, of_slot) & slots.stands[:, None]  # (B, K, N)
        weight = slots.stands + _EMPTY_SLOT_WEIGHT * slots.empty
        weight = weight[:, None] * torch.where(is_meant, 1.0, _NOT_MEANT_WEIGHT)
        weight = weight * _balanced(windows.fits, windows.meant.any(dim=-1), stage.absent_share)[..., None]
        asked_of = windows.asked[..., None].expand_as(counts)[counts]
        actions, asked, decision = [], [], []
        for state, action_head, asked_head in zip(states, self.heads.state_actions, self.heads.asked, strict=True):
            actions.append(self._actions(action_head(state.queries), does, counts))
            asked.append(_mean(F.cross_entropy(asked_head(state.queries[counts]), asked_of, reduction="none")))
            log_meant, log_not = state.class_logits.log_softmax(dim=-1).unbind(dim=-1)
            decision.append((-torch.where(is_meant, log_meant, log_not) * weight).sum() / weight.sum().clamp(min=1))
        total = stage.state_weight * torch.stack(actions).sum() + torch.stack(asked).sum()
        total = total + stage.decision_weight * torch.stack(decision).mean()
        right = _right(states[-1].class_logits, counts, is_meant, windows.fits)
        return StepLoss(total, torch.stack([actions[-1], asked[-1], decision[-1], *right]))

    def _ordinary(self, kept: KeptFrames) -> StepLoss:
        """Losses of the video decoder on clips, as ordinary stages have them."""
        model, loss = self.model, self.stage.loss
        queries, sentences, features = (values.float() for values in (kept.queries, kept.text, kept.features))
        output = decode_video(model, self._located(queries, kept.moments)[None], sentences, features)
        with torch.autocast(queries.device.type, enabled=False):
            return tiny_video_losses(model, video_float32(output), kept.of_frames, kept.batch, loss, self.reduce)

    def _located(self, queries: Tensor, moments: Tensor) -> Tensor:
        """Frame queries with noise, told where their masks are."""
        noisy = queries + self.stage.noise * queries.std() * torch.randn_like(queries)
        return self.model.mask_moments.add(noisy, moments)


def _mean(losses: Tensor) -> Tensor:
    """Mean, 0 of nothing."""
    return losses.sum() / max(1, losses.numel())


def _balanced(fits: Tensor, means_some: Tensor, absent_share: float) -> Tensor:
    """How much each sentence counts, so that those that mean nothing have their share: `(B, K)` float32."""
    some, none = fits & means_some, fits & ~means_some
    of_none = absent_share / (1 - absent_share) * some.sum() / none.sum().clamp(min=1)
    return some + of_none * none


def _rows(values: Tensor, index: Tensor) -> Tensor:
    """Rows `(..., N)` of `(..., G, C)`."""
    return values.gather(-2, index[..., None].expand(*index.shape, values.shape[-1]))


def _states(decoder: VideoDecoder, slots: _Slots, text: Tensor) -> list[VideoPrediction]:
    """Predictions after each layer, for `K` sentences about the same slots: `(B, K, N, ...)`.

    The same as a window decoded for each sentence; what the memory gives is made once for all of them.
    """
    B, T, N, C = slots.enhanced.shape
    K = text.shape[1]
    memory = slots.enhanced.reshape(B, T * N, C)
    key = (slots.enhanced + decoder.slot_position.weight).reshape(B, T * N, C)
    position = decoder.query_position.weight
    x, sentence = slots.initial.repeat_interleave(K, dim=0), text.flatten(0, 1)
    presence = slots.presence.repeat_interleave(K)
    states = []
    for layer in decoder.layers:
        assert isinstance(layer, VideoDecoderLayer)
        x = layer.text_attention.read_single(x, sentence)
        x = layer.memory_attention(x.view(B, K * N, C), key, memory, position.repeat(K, 1)).view(B * K, N, C)
        x = layer.feed_forward(layer.self_attention(x, position))
        states.append(VideoPrediction(*(field.unflatten(0, (B, K)) for field in decoder.predict(x, presence))))
    return states


@torch.no_grad()
def _right(class_logits: Tensor, counts: Tensor, is_meant: Tensor, fits: Tensor) -> tuple[Tensor, Tensor]:
    """Parts of sentences of which each slot that counts is decided rightly: of those that mean some, and none."""
    chosen = class_logits[..., 0] > class_logits[..., 1]
    right = ((chosen == is_meant) | ~counts).all(dim=-1)  # (B, K)
    means_some = is_meant.any(dim=-1)
    some, none = (
        (right & fits & which).sum() / (fits & which).sum().clamp(min=1) for which in (means_some, ~means_some)
    )
    return some, none
