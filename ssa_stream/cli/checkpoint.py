"""`ssa-stream checkpoint`: verify, import, inspect and export weights."""

import typer

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Verify, import, inspect and export weights.")


@app.callback()
def _group() -> None:
    """Verify, import, inspect and export weights."""
