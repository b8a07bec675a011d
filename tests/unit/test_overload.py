"""When a stream is too much, and how that is said."""

from collections.abc import Mapping

import pytest

from ssa_stream.overload import Load, OverloadWatch, overload_text, remedies

SECOND = 1_000_000_000


def _load(
    masks_hz: float = 6.2, busy: Mapping[str, float] | None = None, *, is_dropping: bool = True, fused: bool = False
) -> Load:
    """15 pictures a second come."""
    shares = {"encoder": 0.98, "masks": 0.1} if busy is None else busy
    return Load(source_hz=15, masks_hz=masks_hz, is_dropping=is_dropping, busy=shares, has_one_thread=fused)


def _seen(watch: OverloadWatch, seconds: range, load: Load | None) -> list[int]:
    """The seconds at which the verdict changed."""
    return [second for second in seconds if watch.look(load, second * SECOND)]


def test_overload_begins_and_ends_after_five_seconds_of_it() -> None:
    """Neither at once, nor again and again."""
    watch = OverloadWatch()
    assert _seen(watch, range(20), _load()) == [5]
    assert watch.is_overloaded
    assert _seen(watch, range(20, 40), _load(15)) == [25]
    assert not watch.is_overloaded


def test_single_slow_moments_are_no_overload() -> None:
    """Nor is a good moment its end."""
    watch = OverloadWatch()
    for second in range(61):
        assert not watch.look(_load(6.2 if second % 5 else 15), second * SECOND)
    assert _seen(watch, range(61, 70), _load()) == [66]
    for second in range(70, 120):
        assert not watch.look(_load(6.2 if second % 5 else 15), second * SECOND)


@pytest.mark.parametrize(
    "load", [None, _load(14), _load(0, is_dropping=False)], ids=["no stream", "enough", "no drops"]
)
def test_what_is_no_overload_never_becomes_one(load: Load | None) -> None:
    """A file, a few lost frames, frames whose work fails."""
    assert _seen(OverloadWatch(), range(60), load) == []


def test_source_that_dies_ends_the_overload() -> None:
    """Nothing is too much of nothing."""
    watch = OverloadWatch()
    _seen(watch, range(10), _load())
    assert _seen(watch, range(10, 20), None) == [15]


@pytest.mark.parametrize(
    ("busy", "fused", "stage", "says"),
    [
        ({"encoder": 0.98, "masks": 0.1}, False, "encoder", "the encoder takes 98 % of the time;"),
        ({"encoder": 0.3, "decoder": 0.95}, False, "decoder", "the decoder takes 95 % of the time;"),
        (
            {"encoder": 0.6, "queries": 0.3, "ingest": 0.2},
            True,
            "encoder",
            "60 % of the time, all stages together 90 %",
        ),
        ({"masks": 0.1, "outputs": 0.85}, True, "outputs", "writing the outputs takes 85 % of the time, all"),
        ({"encoder": 0.2, "ingest": 0.9}, True, "ingest", "preparing pictures takes 90 % of the time;"),
        ({"encoder": 0.4, "masks": 0.1}, False, None, "no stage is busy more than 40 % of the time"),
        ({}, False, None, "which stage is too slow is not known"),
    ],
)
def test_cause_is_the_busiest_stage(busy: dict[str, float], fused: bool, stage: str | None, says: str) -> None:
    """In one process the stages share one thread; otherwise one alone must be busy."""
    load = _load(busy=busy, fused=fused)
    assert load.stage == stage
    text = overload_text(load, ["a"])
    assert text.startswith("overloaded: 15 pictures/s come, 6.2/s get masks; ")
    assert says in text
    assert text.endswith("; what helps: a")


def test_remedies_fit_the_stage_and_the_settings() -> None:
    """Nothing is advised that is so already or cannot matter."""
    on_cpu = remedies("encoder", device="auto", dtype="float32", prompts=3, workers=1)
    assert on_cpu[0].startswith("a CUDA GPU")
    assert "fewer prompts (now 3)" in on_cpu
    assert any("session.short_edge_px" in one for one in on_cpu)
    assert any("workers.encoder (now 1)" in one for one in on_cpu)
    on_gpu = " ".join(remedies("decoder", device="cuda:0", dtype="float32", prompts=1))
    assert "bfloat16" in on_gpu
    assert not any(word in on_gpu for word in ("CUDA", "prompts", "short_edge", "workers", "placement"))
    assert "bfloat16" not in " ".join(remedies("decoder", device="cuda", dtype="bfloat16", prompts=1))
    assert all("output" in one for one in remedies("outputs", device="cpu", dtype="float32", prompts=5))
    for stage in ("encoder", "outputs", "ingest", None):
        stale = remedies(stage, device="cpu", dtype="float32", prompts=1, staleness_s=0.5)
        assert stale[0] == "a larger flow.staleness_s (now 0.5)"
    assert "stale" not in " ".join(on_cpu)
    run = " ".join(remedies("encoder", device="cpu", dtype="float32", prompts=1, is_run=True))
    assert "--short-edge" in run
    assert "session." not in run
