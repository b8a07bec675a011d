"""Which rows run together, and that this decides nothing else."""

from collections.abc import Sequence

import pytest
import torch

from ssa_stream.model import to_input
from ssa_stream.protocols import WorkPrompt
from ssa_stream.streaming.encoding import MAX_ROWS, Row, RowQueries, encode_rows, generate_rows, plan_rows
from tests.support.tiny_model import random_frames, tiny_model
from tests.unit.protocols.samples import PROMPT, WORK

SENTENCES = ["a dog", "the red car", "a bird"]


def _run(counts: Sequence[int]) -> dict[Row, RowQueries]:
    model = tiny_model()
    with torch.inference_mode():
        stems = [model.encode_stem(to_input([frame])) for frame in random_frames(8)]
        texts = [model.encode_text([sentence]) for sentence in SENTENCES[: len(counts)]]
        rows: dict[Row, RowQueries] = {}
        for batch in plan_rows(counts):
            made = generate_rows(model, encode_rows(model, stems, texts, batch))
            rows.update((row, RowQueries(*(part[i] for part in made))) for i, row in enumerate(batch))
    return rows


def test_batches_are_the_newest_frame_then_the_earlier_ones_of_each_prompt() -> None:
    """None is larger than memory allows."""
    assert list(plan_rows([2, 1, 3])) == [
        (Row(0, 0), Row(1, 0), Row(2, 0)),
        (Row(0, 1),),
        (Row(2, 2), Row(2, 1)),
    ]
    sizes = [len(batch) for batch in plan_rows([40, *[1] * 20])]
    assert sizes == [MAX_ROWS, 21 - MAX_ROWS, MAX_ROWS, MAX_ROWS, 39 - 2 * MAX_ROWS]
    assert list(plan_rows([])) == []


@pytest.mark.parametrize("counts", [(1,), (3, 1), (1, 8, 2), (5, 5, 5)])
def test_batches_hold_the_rows_of_a_frames_work_in_its_order(counts: tuple[int, ...]) -> None:
    """What travels between nodes and what a session does are the same plan."""
    prompts = tuple(
        WorkPrompt(prompt=type(PROMPT)(id=f"p{i}", text="x", version=1), frames=count)
        for i, count in enumerate(counts, 1)
    )
    work = type(WORK)(
        frame=WORK.frame,
        sizes=WORK.sizes,
        prompts=prompts,
        prompts_version=1,
        applies_from=WORK.applies_from,
        memory=0,
    )
    assert tuple(row for batch in plan_rows(counts) for row in batch) == work.rows()


@pytest.mark.parametrize("others", [(8, 1, 1), (1, 8, 3), (8, 8, 8)])
def test_rows_do_not_depend_on_what_is_replayed_beside_them(others: tuple[int, ...]) -> None:
    """To the bit: a memory that is made anew in vain changes nothing."""
    alone, beside = _run((1, 1, 1)), _run(others)
    for row, made in alone.items():
        for part, other in zip(made, beside[row], strict=True):
            assert torch.equal(part, other)
    full = _run((8, 8, 8))
    for row in (row for row in beside if others[row.prompt] == 8):
        for part, other in zip(beside[row], full[row], strict=True):
            assert torch.equal(part, other)
