"""Frames, their work and what is due, for tests of the parts of the model nodes."""

from typing import Any

import torch

from ssa_stream.nodes.decoder.decoding import session_prompts
from ssa_stream.protocols import (
    AppliesFrom,
    DropNotice,
    FrameIdentity,
    FrameSizes,
    FrameWork,
    Prompt,
    WorkPrompt,
)
from ssa_stream.streaming.decoding import PromptRows

__all__ = ["SIZES", "frame", "notice", "rows", "work"]

SIZES = FrameSizes(source=(32, 64), network=(32, 64), padded=(32, 64))


def frame(seq: int, *, epoch: int = 0, index: int | None = None, **fields: Any) -> FrameIdentity:
    """A frame, ten of which are a second."""
    index = seq if index is None else index
    values: dict[str, Any] = {
        "stream": "cam0",
        "epoch": epoch,
        "seq": seq,
        "index": index,
        "t": index / 10,
        "t_receive_ns": 0,
        "receive_clock": "monotonic:test",
    }
    return FrameIdentity(**values | fields)


def work(
    seq: int,
    *texts: str,
    epoch: int = 0,
    index: int | None = None,
    frames: int = 1,
    memory: int = 0,
    applies_from: int = 0,
    missed: int = 0,
    t: float | None = None,
    live: bool = False,
) -> FrameWork:
    """Work on a frame under sentences `p1`, `p2` and so on, all of version 1."""
    identity = frame(seq, epoch=epoch, index=index, live=live, **({} if t is None else {"t": t}))
    return FrameWork(
        frame=identity,
        sizes=SIZES,
        prompts=tuple(
            WorkPrompt(prompt=Prompt(id=f"p{number}", text=text, version=1), frames=frames)
            for number, text in enumerate(texts, start=1)
        ),
        prompts_version=1,
        applies_from=AppliesFrom(epoch=0, seq=0, index=applies_from),
        memory=memory,
        frames_missed=missed,
    )


def rows(one: FrameWork, num_queries: int, width: int) -> PromptRows | None:
    """Queries for the work: those of a prompt and frame are always the same."""
    if not one.prompts:
        return None
    made = []
    for prompt, age in one.rows():
        generator = torch.Generator().manual_seed(100 * (one.frame.index - age) + prompt)
        made.append(torch.randn(num_queries + 1, width, generator=generator))
    both = torch.stack(made)
    return PromptRows(session_prompts(one), tuple(item.frames for item in one.prompts), both[:, 1:], both[:, 0])


def notice(
    seq: int,
    *,
    epoch: int = 0,
    index: int | None = None,
    reason: str = "stale",
    missed: int = 0,
    live: bool = False,
) -> DropNotice:
    """A frame that does not come."""
    return DropNotice(
        frame=frame(seq, epoch=epoch, index=index, live=live), node="encoder-0", reason=reason, frames_missed=missed
    )
