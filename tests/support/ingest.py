"""Frames, pictures and the first message of a stream, for tests of the ingest node."""

from ssa_stream.nodes.ingest.dispatcher import StreamRules
from ssa_stream.nodes.ingest.picture import Picture, prepare
from ssa_stream.protocols import Prompt, StartStream
from tests.support.scripted_source import numbered_frame

__all__ = ["EDGES", "RULES", "picture", "start_stream"]

EDGES = (2, 64)
RULES = StreamRules(
    stream="cam0", node="ingest-cam0", clock="monotonic:test", window=4, lookahead=0, capacity=3, max_gap_s=2.0
)


def picture(seq: int, *, t: float | None = None, epoch: int = 0, size: tuple[int, int] = (2, 2)) -> Picture:
    """A frame whose pixels are its number, as the node prepares it."""
    return prepare(numbered_frame(seq, t=t, epoch=epoch, size=size), EDGES, lambda: 0)


def start_stream(
    *texts: str, epoch: int = 0, next_index: int = 0, memory: int = 0, frames_done: int = 0
) -> StartStream:
    """Where the stream `cam0` begins, with sentences `p1`, `p2` and so on."""
    return StartStream(
        stream="cam0",
        epoch=epoch,
        next_index=next_index,
        memory=memory,
        prompts=tuple(Prompt(id=f"p{n}", text=text, version=1) for n, text in enumerate(texts, start=1)),
        version=1 if texts else 0,
        next_prompt_number=len(texts) + 1,
        frames_done=frames_done,
    )
