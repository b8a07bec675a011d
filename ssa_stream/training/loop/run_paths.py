"""Where a run keeps its files, and whether a run may begin there. Loads no torch."""

from pathlib import Path

from ssa_stream.errors import ConfigError

__all__ = ["RunPaths"]


class RunPaths:
    """Paths of one run.

    Args:
        path: The folder; it need not be there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.best = path / "best.safetensors"
        self.last = path / "last.safetensors"
        self.state = path / "state.pt"
        self.config = path / "config.yaml"

    @property
    def has_state(self) -> bool:
        """Whether there is a run to go on with."""
        return self.state.is_file()

    def expect_usable(self, *, resume: bool) -> None:
        """Refuse a folder that holds a run, and one without a state in which a new run would replace files.

        Args:
            resume: Whether a run that is there goes on. It may have been killed before its first state: then its
                settings and figures are begun again, but weights are somebody's all the same.
        Raises:
            ConfigError: There is such a run or file, or the folder is a file.
        """
        if self.path.exists() and not self.path.is_dir():
            raise ConfigError(f"{self.path} is a file; expected a folder for the run, or a name that is free")
        if self.has_state:
            if not resume:
                raise ConfigError(f"{self.path} holds a run already; go on with it by --resume, or name another folder")
            return
        figures = [] if resume else [self.config, *self.path.glob("train_*.csv"), *self.path.glob("validation_*.csv")]
        for file in (self.best, self.last, *figures):
            if file.exists():
                raise ConfigError(f"{file} exists, which a new run would replace; name another folder, or move it away")
