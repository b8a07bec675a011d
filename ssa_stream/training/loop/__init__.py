"""How a run goes: stages, steps, schedule, EMA, checkpoints, validation."""

__all__: list[str] = []
