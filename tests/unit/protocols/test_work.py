"""What one frame's work is: which rows, of which prompt and which frame."""

import msgspec
import numpy as np
import pytest

from ssa_stream.protocols import (
    Buffers,
    FeaturesMessage,
    FrameMessage,
    FrameQueriesMessage,
    Limits,
    WorkPrompt,
    decode,
    encode,
)
from ssa_stream.protocols.fields import MAX_HISTORY
from tests.unit.protocols.samples import OTHER_PROMPT, PROMPT, WORK


def test_rows_are_the_newest_frame_of_all_prompts_then_earlier_ones_prompt_by_prompt() -> None:
    """Position of the prompt, and age of the frame."""
    work = msgspec.structs.replace(
        WORK, prompts=(WorkPrompt(prompt=PROMPT, frames=3), WorkPrompt(prompt=OTHER_PROMPT, frames=1))
    )
    assert work.rows() == ((0, 0), (1, 0), (0, 2), (0, 1))
    assert (work.num_rows, work.num_history, work.is_replay) == (4, 2, True)


@pytest.mark.parametrize("prompts", [(), (WorkPrompt(prompt=PROMPT), WorkPrompt(prompt=OTHER_PROMPT))])
def test_work_on_the_newest_frame_alone_is_no_replay(prompts: tuple[WorkPrompt, ...]) -> None:
    """One row a prompt."""
    work = msgspec.structs.replace(WORK, prompts=prompts)
    assert work.rows() == tuple((position, 0) for position in range(len(prompts)))
    assert (work.num_rows, work.num_history, work.is_replay) == (len(prompts), 0, False)


def test_frame_without_prompts_travels_as_messages_of_no_rows() -> None:
    """Whoever waits for the frame hears of it."""
    work = msgspec.structs.replace(WORK, prompts=())
    features, queries = Buffers(), Buffers()
    maps = [features.add(np.zeros((0, 2, 8, 8), dtype=np.float16), channels_last=True) for _ in range(4)]
    first = FeaturesMessage(
        work=work,
        first_row=0,
        maps=(maps[0], maps[1], maps[2], maps[3]),
        sentence=features.add(np.zeros((0, 4), dtype=np.float32)),
    )
    second = FrameQueriesMessage(
        work=work,
        first_row=0,
        queries=queries.add(np.zeros((0, 3, 4), dtype=np.float32)),
        text=queries.add(np.zeros((0, 4), dtype=np.float32)),
    )
    packet = decode(encode(first, features), Limits())
    assert (packet.message, packet.array(first.maps[0]).shape) == (first, (0, 2, 8, 8))
    packet = decode(encode(second, queries), Limits())
    assert (packet.message, packet.array(second.queries).shape) == (second, (0, 3, 4))


def test_longest_history_fits_the_default_limits() -> None:
    """Every picture is a part of the message."""
    work = msgspec.structs.replace(WORK, prompts=(WorkPrompt(prompt=PROMPT, frames=MAX_HISTORY + 1),))
    buffers = Buffers()
    pictures = [buffers.add(np.zeros((*work.sizes.network, 3), dtype=np.uint8)) for _ in range(MAX_HISTORY + 1)]
    message = FrameMessage(work=work, image=pictures[0], history=tuple(pictures[1:]))
    assert decode(encode(message, buffers), Limits()).message == message
