"""All that a session knows, as one immutable value, and one step of it as a pure function."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssa_stream.model import Stages, TextFeatures, resize_frame, to_input
from ssa_stream.streaming.blank import is_blank
from ssa_stream.streaming.config import SessionConfig
from ssa_stream.streaming.decoding import (
    DecoderState,
    DueFrame,
    IncomingFrame,
    PromptRows,
    decode_frame,
    flush_decoder,
    take_rows,
)
from ssa_stream.streaming.encoding import encode_rows, generate_rows, plan_rows
from ssa_stream.streaming.masking import MaskKey, MaskState, keep_mask_features, mask_frame, own_features
from ssa_stream.streaming.prompts import Prompt, PromptBook
from ssa_stream.streaming.results import MaskResult
from ssa_stream.streaming.saving import state_from_bytes, state_to_bytes
from ssa_stream.streaming.stages import StageTimes

__all__ = ["RecentFrame", "SessionState", "cleared", "flush_frames", "step_frame"]


@dataclass(frozen=True, slots=True, eq=False)
class RecentFrame:
    """A frame kept for the replay of new prompts: its network input, or the prompt-free features made from it.

    Attributes:
        image: `(1, 3, Hp, Wp)`; None once `stem` is there.
        stem: `(1, C0, Hp/4, Wp/4)`; None until a prompt needed it.
    """

    image: Tensor | None
    stem: Tensor | None


@dataclass(frozen=True, slots=True, eq=False)
class SessionState:
    """State of one stream. Nothing in it is ever changed in place, so keeping it is a snapshot.

    Attributes:
        fingerprint: Of the model's sizes and the session's settings; a state only fits these.
        book: The prompts.
        texts: CLIP features of each prompt's sentence, one row each.
        recent: The last frames, oldest first, at most a window.
        decoder: Times, windows, and frames whose final results wait for lookahead.
        masks: Tracks, and mask features of the frames that wait.
    """

    fingerprint: str
    book: PromptBook = field(default_factory=PromptBook)
    texts: tuple[TextFeatures, ...] = ()
    recent: tuple[RecentFrame, ...] = ()
    decoder: DecoderState = field(default_factory=DecoderState)
    masks: MaskState = field(default_factory=MaskState)

    def to_bytes(self) -> bytes:
        """Serialise without pickle: a safetensors file with the rest as JSON in its header."""
        return state_to_bytes(self, "session")

    @classmethod
    def from_bytes(cls, data: bytes, device: torch.device | str = "cpu") -> "SessionState":
        """Read a state back.

        Args:
            data: Output of `to_bytes`.
            device: Where its tensors go.
        Raises:
            SessionStateError: Not a session state, damaged, or of another format version.
        """
        return state_from_bytes(data, cls, "session", device)


def step_frame(
    model: Stages,
    config: SessionConfig,
    state: SessionState,
    image: NDArray[np.uint8],
    t: float | None,
    pixel_aspect: Fraction = Fraction(1),
    times: StageTimes | None = None,
) -> tuple[SessionState, list[MaskResult]]:
    """Take one frame; see `ReferSession.push`. How long its stages took is added to `times`."""
    times = StageTimes() if times is None else times
    size = (image.shape[0], image.shape[1])
    _, stamp = state.decoder.timeline.accept(size, t, config, pixel_aspect)
    results: list[MaskResult] = []
    if stamp.after_reset:
        state, results = flush_frames(model, config, state)
        state = cleared(state)
    with times.during("encoder"):
        picture = resize_frame(image, config.sizes_of(size, model.config, pixel_aspect).network)
        pixels = to_input([picture], model.device, model.dtype)
    state = replace(state, recent=(*state.recent, RecentFrame(pixels, None))[-config.window :])
    rows = None
    if prompts := state.book.prompts:
        running = {item.prompt for item in state.decoder.windows}
        counts = [1 if prompt in running else len(state.recent) for prompt in prompts]
        state, rows = _generate(model, config, state, _Wanted(prompts, state.texts, counts, stamp.index), times)
    incoming = IncomingFrame(stamp.index, t, size, rows, pixel_aspect=pixel_aspect, is_blank=is_blank(picture, size))
    with times.during("decoder"):
        decoder, due = decode_frame(model, config, state.decoder, incoming)
    with times.during("masks"):
        state, masks = _emit(model, config, replace(state, decoder=decoder), due)
    return state, results + masks


def flush_frames(model: Stages, config: SessionConfig, state: SessionState) -> tuple[SessionState, list[MaskResult]]:
    """Emit the frames that wait for lookahead with what is known; see `ReferSession.flush`."""
    if not state.decoder.pending:
        return state, []
    running = {item.prompt for item in state.decoder.windows}
    new = [i for i, prompt in enumerate(state.book.prompts) if prompt not in running]
    if new:
        prompts, texts = [state.book.prompts[i] for i in new], [state.texts[i] for i in new]
        newest = state.decoder.pending[-1].index
        wanted = _Wanted(prompts, texts, [len(state.recent)] * len(new), newest)
        state, rows = _generate(model, config, state, wanted, StageTimes())
        decoder = take_rows(model, config, state.decoder, rows, newest=newest)
        state = replace(state, decoder=decoder.only(state.book.prompts))
    decoder, due = flush_decoder(model, state.decoder)
    return _emit(model, config, replace(state, decoder=decoder), due)


def cleared(state: SessionState) -> SessionState:
    """Forget frames and what was seen in them; keep prompts, numbers and used track ids."""
    return replace(state, recent=(), decoder=state.decoder.cleared(), masks=replace(state.masks, features=()))


class _Wanted(NamedTuple):
    """Prompts with their texts, how many of the newest frames each needs, and the newest one's number."""

    prompts: Sequence[Prompt]
    texts: Sequence[TextFeatures]
    counts: Sequence[int]
    newest: int


def _generate(
    model: Stages, config: SessionConfig, state: SessionState, wanted: _Wanted, times: StageTimes
) -> tuple[SessionState, PromptRows]:
    """Make queries of recent frames and keep the mask features of those that are not out yet."""
    with times.during("encoder"):
        recent, stems = _with_stems(model, state.recent, max(wanted.counts))
    queries, text, kept = [], [], dict[MaskKey, Tensor]()
    for batch in plan_rows(wanted.counts):
        with times.during("encoder"):
            encoded = encode_rows(model, stems, wanted.texts, batch)
        with times.during("queries"):
            made = generate_rows(model, encoded)
        queries.append(made.queries)
        text.append(made.text)
        for row, features in zip(batch, made.mask_features, strict=True):
            prompt, index = wanted.prompts[row.prompt], wanted.newest - row.age
            if index >= state.decoder.next_due_index:
                kept[MaskKey(prompt.prompt_id, prompt.version, index)] = own_features(features, config)
    rows = PromptRows(tuple(wanted.prompts), tuple(wanted.counts), torch.cat(queries), torch.cat(text))
    return replace(state, recent=recent, masks=keep_mask_features(state.masks, kept)), rows


def _with_stems(
    model: Stages, recent: tuple[RecentFrame, ...], count: int
) -> tuple[tuple[RecentFrame, ...], tuple[Tensor, ...]]:
    """Make the prompt-free features of the last `count` frames where they are missing."""
    frames = list(recent)
    for i in range(len(frames) - count, len(frames)):
        image = frames[i].image
        if image is not None:
            frames[i] = RecentFrame(None, model.encode_stem(image))
    stems = tuple(frame.stem for frame in frames[-count:] if frame.stem is not None)
    return tuple(frames), stems


def _emit(
    model: Stages, config: SessionConfig, state: SessionState, due: Sequence[DueFrame]
) -> tuple[SessionState, list[MaskResult]]:
    """Masks of the frames that are due."""
    masks, results = state.masks, list[MaskResult]()
    for frame in due:
        masks, made = mask_frame(model, config, masks, frame)
        results += made
    return replace(state, masks=masks), results
