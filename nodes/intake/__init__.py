"""What the ingest node is made of: the books of a stream, the source behind them, requests about prompts.

`ledger` and `window` know no time, no sockets and no threads; `reader` and `player` have those of the source.
Import from its modules.
"""

__all__: list[str] = []
