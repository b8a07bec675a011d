"""What a graph says of its outputs to other graphs and runs, for as long as it lives.

A node that writes has its files locked, but the lock ends with the node. The next one writes beside what it left, which
still belongs to the graph.
"""

import os
from pathlib import Path
from typing import BinaryIO

from ssa_stream.files import claim
from ssa_stream.nodes.pipeline import PipelineConfig
from ssa_stream.outputs import output_file, partial_path

__all__ = ["OutputClaims"]


class OutputClaims:
    """Claims of the files that a graph has written or writes; they end with this process.

    Args:
        config: The graph.
    """

    def __init__(self, config: PipelineConfig) -> None:
        self._config = config
        self._files: dict[Path, BinaryIO] = {}

    def take(self, starts_before: int) -> None:
        """Claim the files that the node has now opened which writes outputs.

        Args:
            starts_before: How often it was started before.
        """
        overwrite = self._config.overwrite
        for section in self._config.streams.values():
            for spec in section.outputs:
                path = output_file(spec, starts_before=starts_before, overwrite=overwrite)
                # A second descriptor of one file would end the claim when it is closed.
                if path is not None and path not in self._files:
                    file = claim(partial_path(Path(os.path.realpath(path))))
                    if file is not None:
                        self._files[path] = file

    def close(self) -> None:
        """Give them up."""
        while self._files:
            self._files.popitem()[1].close()
