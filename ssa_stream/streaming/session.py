"""The streaming session: frames in, tracked masks out, prompts changed at any time."""

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray

from ssa_stream.errors import SessionStateError, ShapeError
from ssa_stream.input_warnings import InputWarning
from ssa_stream.model import SSA, Stages
from ssa_stream.model.preprocess import check_frame
from ssa_stream.streaming.config import SessionConfig
from ssa_stream.streaming.prompts import Prompt, PromptAck, PromptBook
from ssa_stream.streaming.results import MaskResult
from ssa_stream.streaming.saving import fingerprint
from ssa_stream.streaming.stages import StageTimes
from ssa_stream.streaming.step import SessionState, cleared, flush_frames, step_frame

__all__ = ["ReferSession"]


class ReferSession:
    """Text-prompted segmentation of one stream.

        session = ReferSession(model, prompts=["the person carrying the box"])
        for t, frame in frames:
            for result in session.push(frame, t):
                show(frame, result.merged())

    Every call either succeeds wholly or raises and leaves the session as it was. Prompts may be changed from another
    thread while frames are pushed. Sessions share nothing but the model.

    Args:
        model: The network, in evaluation mode.
        config: Window, memory, selection, tracking.
        prompts: First prompts, see `set_prompts`.
    """

    def __init__(
        self,
        model: Stages,
        config: SessionConfig | None = None,
        prompts: Sequence[str] | Mapping[str, str] = (),
    ) -> None:
        self.config = config or SessionConfig()
        self._model = model.eval() if isinstance(model, SSA) else model
        self._times = StageTimes()
        self._lock = threading.Lock()
        self._next_in_line = threading.Lock()
        self._state = SessionState(fingerprint(model.config, model.dtype, self.config))
        if prompts:
            self.set_prompts(prompts)

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """The prompts in force, in order of adding."""
        return self._state.book.prompts

    @property
    def next_index(self) -> int:
        """Index that the next pushed frame will get."""
        return self._state.decoder.timeline.next_index

    @property
    def stage_seconds(self) -> dict[str, float]:
        """Time that pushed frames took so far, by stage: `encoder`, `queries`, `decoder`, `masks`."""
        return dict(self._times.seconds)

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self._model.device

    @property
    def dtype(self) -> torch.dtype:
        """Of the network's weights and activations."""
        return self._model.dtype

    @property
    def warnings(self) -> tuple[InputWarning, ...]:
        """About prompts in force that are longer than CLIP reads."""
        return self._cut_off(self.prompts)

    def push(
        self, frame: NDArray[np.uint8], t: float | None = None, *, pixel_aspect: Fraction = Fraction(1)
    ) -> list[MaskResult]:
        """Take the stream's next frame.

        Args:
            frame: RGB image, `(H, W, 3)` uint8; all frames of a stream have one size.
            t: Its time in seconds, later than the last frame's; None puts it one frame interval later.
            pixel_aspect: Width of the frame's pixels divided by their height; the network sees them square, masks are
                in the frame's own pixels. All frames of a stream have one.
        Returns:
            One final result per prompt, in the prompts' order, for the frame that is due: this one, or with lookahead
            an earlier one (none until enough frames are there). With `emit_provisional`, this frame's provisional
            results follow. After a gap longer than `max_gap_s` the results still due come first.
        Raises:
            ShapeError: Not an RGB image, or its size or the shape of its pixels changed without `reset`.
            SessionStateError: Its time is not later than the last frame's.
        """
        image = check_frame(frame)
        if not pixel_aspect > 0:
            raise ShapeError(f"pixel_aspect is {pixel_aspect}; expected the width of a pixel divided by its height")
        with self._turn(), torch.inference_mode():
            self._state, results = step_frame(
                self._model, self.config, self._state, image, t, pixel_aspect, self._times
            )
            return results

    def flush(self) -> list[MaskResult]:
        """Results still due because of lookahead, at the end of a stream. The memory stays."""
        with self._turn(), torch.inference_mode():
            self._state, results = flush_frames(self._model, self.config, self._state)
            return results

    def reset(self) -> None:
        """Forget frames, tracks and times; keep prompts. The next frame may have any size and time.

        Results still due are lost: call `flush` first to have them. Track ids are not given again.
        """
        with self._turn():
            state = cleared(self._state)
            self._state = replace(state, decoder=state.decoder.reset())

    def set_prompts(self, prompts: Sequence[str] | Mapping[str, str]) -> PromptAck:
        """Replace all prompts. One that stays the same, id and sentence, keeps its memory, tracks and version.

        Args:
            prompts: Sentences, or sentences by prompt id. A sentence without an id keeps the id that it has, or gets a
                new one.
        Returns:
            The prompts in force and the index of the first frame that they apply to.
        Raises:
            ConfigError: An empty sentence or id, or more prompts than `max_prompts`.
        """
        with self._turn():
            return self._put(self._state.book.set(prompts, max_prompts=self.config.max_prompts))

    def add_prompt(self, text: str, prompt_id: str | None = None) -> PromptAck:
        """Add a prompt, or give an existing id another sentence.

        Args:
            text: The sentence.
            prompt_id: Its name; None gives it a new one, found in the answer's last prompt.
        Raises:
            ConfigError: An empty sentence, or more prompts than `max_prompts`.
        """
        with self._turn():
            return self._put(self._state.book.add(text, prompt_id, max_prompts=self.config.max_prompts))

    def remove_prompt(self, prompt_id: str) -> PromptAck:
        """Remove a prompt; the others are not disturbed.

        Raises:
            ConfigError: There is no such prompt.
        """
        with self._turn():
            return self._put(self._state.book.remove(prompt_id))

    def state(self) -> SessionState:
        """Snapshot of all that the session knows; `to_bytes` makes a file of it."""
        return self._state

    def restore(self, state: SessionState) -> None:
        """Go on from a snapshot, exactly as the session that gave it would have.

        Raises:
            SessionStateError: It was made with another model size or other settings.
        """
        with self._turn():
            if state.fingerprint != self._state.fingerprint:
                raise SessionStateError(
                    f"the state was made with other settings (fingerprint {state.fingerprint}, here "
                    f"{self._state.fingerprint}); restore it in a session with the same model and SessionConfig"
                )
            self._state = state

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """The state to oneself, in order of asking: else a loop of pushes would keep a change of prompts waiting."""
        with self._next_in_line:
            self._lock.acquire()
        try:
            yield
        finally:
            self._lock.release()

    def _put(self, book: PromptBook) -> PromptAck:
        """Let these be the prompts; those that stay the same keep all that they have."""
        state = self._state
        known = dict(zip(state.book.prompts, state.texts, strict=True))
        with torch.inference_mode():
            texts = tuple(known.get(prompt) or self._model.encode_text([prompt.text]) for prompt in book.prompts)
        decoder, masks = state.decoder.only(book.prompts), state.masks.only(book.prompts)
        self._state = replace(state, book=book, texts=texts, decoder=decoder, masks=masks)
        warnings = self._cut_off([prompt for prompt in book.prompts if prompt not in known])
        return PromptAck(book.prompts, book.version, decoder.next_due_index, warnings)

    def _cut_off(self, prompts: Iterable[Prompt]) -> tuple[InputWarning, ...]:
        found = ((prompt.prompt_id, self._model.cut_off(prompt.text)) for prompt in prompts)
        return tuple(InputWarning(f"prompt {name}", text) for name, text in found if text is not None)
