"""When a stream is too much for whoever segments it, and how that is said: which stage is too slow, what would help."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ssa_stream.rates import rate_text

__all__ = ["OUTPUTS", "OVERLOAD_HOLD_S", "SLOW_REASONS", "Load", "OverloadWatch", "overload_text", "remedies"]

OUTPUTS = "outputs"
"""The stage that writes files, beside those of the network, which go by their roles."""
SLOW_REASONS = frozenset({"overtaken", "stale", "queue_full"})
"""Why frames of a live source are dropped if those before them take too long; each a `DropReason`."""
OVERLOAD_HOLD_S = 5.0
"""An overload begins, and ends, when it was so for as long as that."""
_HOLD_NS = round(OVERLOAD_HOLD_S * 1e9)
_BEGIN_SHARE, _END_SHARE = 0.1, 0.05
_BUSY_SHARE = 0.7
_PREPARING = "ingest"
_WORDS = {
    _PREPARING: "preparing pictures", "encoder": "the encoder", "queries": "the queries stage",
    "decoder": "the decoder", "masks": "the masks stage", OUTPUTS: "writing the outputs",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How much comes of a live stream and what becomes of it, over the last few seconds.

    Attributes:
        source_hz: Pictures that come per second.
        masks_hz: Pictures that get masks per second.
        is_dropping: Whether pictures were dropped lately for one of `SLOW_REASONS`.
        busy: Share of the time (0..1) in which each stage worked.
        has_one_thread: Whether all stages share one thread, so that their shares make up one whole.
    """

    source_hz: float
    masks_hz: float
    is_dropping: bool
    busy: Mapping[str, float]
    has_one_thread: bool = False

    @property
    def stage(self) -> str | None:
        """The stage that is too slow; None if none is busy most of the time."""
        if not self.busy:
            return None
        slowest = max(self.busy, key=lambda stage: self.busy[stage])
        is_busy = self.busy[slowest] >= _BUSY_SHARE or (self.has_one_thread and self.whole >= _BUSY_SHARE)
        return slowest if is_busy else None

    @property
    def whole(self) -> float:
        """Share of the time in which any stage works, if they share one thread; pictures are prepared in others."""
        return sum(share for stage, share in self.busy.items() if stage != _PREPARING)


class OverloadWatch:
    """Says whether a stream is overloaded; single slow moments neither begin nor end that.

    Attributes:
        is_overloaded: Whether it is.
    """

    def __init__(self) -> None:
        self.is_overloaded = False
        self._other_since_ns: int | None = None

    def look(self, load: Load | None, now_ns: int) -> bool:
        """Judge by how it is now; to be called about once a second, or more often.

        Args:
            load: None where there is nothing to be overloaded by: no live source, or something else is wrong.
            now_ns: The time, on a monotonic clock.
        Returns:
            Whether `is_overloaded` has changed.
        """
        share = _END_SHARE if self.is_overloaded else _BEGIN_SHARE
        is_behind = load is not None and load.is_dropping and load.masks_hz < (1 - share) * load.source_hz
        if is_behind == self.is_overloaded:
            self._other_since_ns = None
            return False
        if self._other_since_ns is None:
            self._other_since_ns = now_ns
        if now_ns - self._other_since_ns < _HOLD_NS:
            return False
        self.is_overloaded, self._other_since_ns = is_behind, None
        return True


def overload_text(load: Load, helps: Sequence[str]) -> str:
    """Say that a stream is overloaded, by what, and what would help.

    Args:
        load: How it is.
        helps: See `remedies`.
    """
    pictures = f"{_per_s(load.source_hz)} pictures/s come, {_per_s(load.masks_hz)}/s get masks"
    return f"overloaded: {pictures}; {_cause(load)}; what helps: {', '.join(helps)}"


def remedies(
    stage: str | None,
    *,
    device: str,
    dtype: str,
    prompts: int,
    workers: int = 0,
    is_run: bool = False,
    is_fused: bool = False,
    staleness_s: float | None = None,
) -> list[str]:
    """What would help against an overload, the most effective first.

    Args:
        stage: Which stage is too slow; see `Load.stage`.
        device: Of the network: `auto`, `cpu`, `cuda` or `cuda:N`.
        dtype: Of the network.
        prompts: How many there are.
        workers: Nodes that share the work of the stage; 0 where there cannot be more.
        is_run: Name options of `ssa-stream run`; else the settings of a pipeline.
        is_fused: Whether nodes could be processes, but are not.
        staleness_s: `flow.staleness_s` if frames are dropped as stale; else None.
    """
    # First: work on a frame that becomes stale is lost, so that there may be no masks at all.
    helps = [] if staleness_s is None else [f"a larger flow.staleness_s (now {staleness_s:g})"]
    if stage == OUTPUTS:
        return [*helps, "fewer outputs, or smaller pictures from the source"]
    if stage == _PREPARING:
        return [*helps, "smaller pictures from the source"]
    if stage is None:
        helps.append("ending other programs that take the processors")
        if not is_run:
            helps.append("a larger flow.in_flight")
    if not device.startswith("cuda"):
        helps.append(f"a CUDA GPU ({'--device' if is_run else 'model.device'})")
    elif dtype != "bfloat16":
        helps.append(f"{'--dtype bfloat16' if is_run else 'model.dtype: bfloat16'}")
    if prompts > 1:
        helps.append(f"fewer prompts (now {prompts})")
    if stage != "decoder":  # which sees queries alone, whatever the size of the picture
        helps.append(f"a smaller {'--short-edge' if is_run else 'session.short_edge_px'}")
    if workers:
        helps.append(f"more workers.{stage} (now {workers}) if there are processor cores for them")
    if is_fused:
        helps.append("placement: processes if there are more processor cores")
    return [*helps, "fewer pictures per second from the source"]


def _cause(load: Load) -> str:
    stage = load.stage
    if stage is None:
        most = f"no stage is busy more than {_percent(max(load.busy.values()))} of the time" if load.busy else ""
        return f"{most}: frames wait for something else" if most else "which stage is too slow is not known"
    busy = f"{_WORDS.get(stage, stage)} takes {_percent(load.busy[stage])} of the time"
    has_others = load.has_one_thread and stage != _PREPARING and load.whole > load.busy[stage]
    return f"{busy}, all stages together {_percent(load.whole)}" if has_others else busy


def _percent(share: float) -> str:
    return f"{min(100, round(100 * share))} %"


def _per_s(rate_hz: float) -> str:
    return rate_text(rate_hz).removesuffix(".0")
