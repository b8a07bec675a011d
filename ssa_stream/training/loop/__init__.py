"""How a run goes: steps, schedule, running mean, checkpoints, validation."""

__all__: list[str] = []
