"""From a pipeline's model section to the network, and to the fingerprint of its weights."""

import hashlib
import json
import sys
from collections.abc import Collection
from typing import TYPE_CHECKING

import structlog

from ssa_stream.configs import load_config
from ssa_stream.errors import CheckpointError, ConfigError, SsaStreamError
from ssa_stream.nodes.pipeline import ModelSection
from ssa_stream.nodes.runtime.signals import end_with_parent
from ssa_stream.weight_files import DEFAULT_CHECKPOINT, FileLook, WeightFile, look

if TYPE_CHECKING:
    from ssa_stream.model import SSA, SsaConfig, Stages

__all__ = ["OtherWeightsError", "WeightsLoader", "load_network", "network_config", "open_stages", "read_weights"]

_LOG = structlog.get_logger()


class OtherWeightsError(CheckpointError):
    """The weights are not those that the graph runs with."""


def read_weights(section: ModelSection) -> WeightFile:
    """Which weights a network would be made of now; loads no torch.

    Random weights are made from a fixed seed: they have a fingerprint of the configuration that they are made for.

    Raises:
        ConfigError: No such model configuration.
        CheckpointError: The checkpoint cannot be read.
    """
    if not section.random_weights:
        return WeightFile.read(section.checkpoint or DEFAULT_CHECKPOINT)
    network = json.dumps(load_config("model", section.name), sort_keys=True, default=str)
    return WeightFile(f"random-{hashlib.sha256(network.encode()).hexdigest()[:32]}", network)


class WeightsLoader:
    """Loads a network once, and knows which weights it has. Threads take turns outside.

    Args:
        section: Which network, with which weights, where.
        expected: Fingerprint of the weights that it has to have; None takes what is there.
        parts: Which parts of the network, by the roles of nodes (`model.parts`); None loads the whole network.
        window: Frames of a full window.

    Attributes:
        fingerprint: Of the weights of the network; None before it is loaded.
    """

    def __init__(
        self,
        section: ModelSection,
        expected: str | None = None,
        *,
        parts: Collection[str] | None = None,
        window: int = 8,
    ) -> None:
        self._section, self._expected, self._parts, self._window = section, expected, parts, window
        self._stages: Stages | None = None
        self.fingerprint: str | None = None

    def load(self) -> "Stages":
        """The network, run by the engine that the section names.

        Raises:
            ConfigError: This machine lacks the device, or the engine.
            CheckpointError: The checkpoint does not load, or was replaced while it was.
            OtherWeightsError: Its weights are other ones.
        """
        if self._stages is None:
            before, expected = self._look(), self._expected
            found = read_weights(self._section).fingerprint
            if expected is not None and found != expected:
                raise OtherWeightsError(
                    f"the weights are {found[:12]}, but the graph runs with {expected[:12]}; put the former file back, "
                    f"or run: ssa-stream reload"
                )
            network = load_network(self._section, self._parts)
            if self._look() != before:
                raise OtherWeightsError(f"the weights {found[:12]} were replaced while they were loaded")
            self._stages, self.fingerprint = open_stages(network, self._section, self._window), found
        return self._stages

    def _look(self) -> FileLook | None:
        return None if self._section.random_weights else look(self._section.checkpoint or DEFAULT_CHECKPOINT)


def load_network(section: ModelSection, parts: Collection[str] | None = None) -> "SSA":
    """Load the network, or make one with meaningless weights that are the same in every process.

    Args:
        section: Which network, with which weights, where.
        parts: Which parts of it, see `WeightsLoader`.
    Raises:
        ConfigError: This machine lacks the device, or there is no such part.
        CheckpointError: The checkpoint does not load.
    """
    import torch

    from ssa_stream.checkpoints import choose_device, open_network
    from ssa_stream.model import use_operator

    device = choose_device(section.device, "model.device")
    if section.device == "auto":
        _LOG.info("device chosen", device=device)
    if section.dtype == "auto":
        raise ConfigError(
            "model.dtype is auto in a node; expected the type that the graph's launcher measured "
            "(launcher.dtype.with_measured_dtype)"
        )
    dtype: torch.dtype = getattr(torch, section.dtype)
    network = open_network(
        section.checkpoint,
        random_weights=section.name if section.random_weights else None,
        device=device,
        dtype=dtype,
        parts=parts,
        precision=None if section.precision == "auto" else section.precision,
    )
    operator = use_operator(network)
    if operator.reason:
        _LOG.info("deformable attention without a fused kernel", reason=operator.reason)
    return network


def open_stages(network: "SSA", section: ModelSection, window: int = 8) -> "Stages":
    """Let the engine of a section run a network. A node cannot wait for one to be built: that is done ahead.

    Args:
        network: As it was loaded, all of it or a part.
        section: Names the engine.
        window: Frames of a full window.
    Raises:
        ConfigError: The engine is not installed, or not for this device.
    """
    from ssa_stream.engines import open_engine

    stages = open_engine(
        network, section.engine, builds=False, window=window, say=lambda text: _LOG.warning("engine", text=text)
    )
    _LOG.info("engine taken", engine=stages.choice.name, reason=stages.choice.reason)
    return stages


def network_config(section: ModelSection) -> "SsaConfig":
    """The sizes of the network; reads at most the header of a checkpoint, never its weights.

    Raises:
        ConfigError: No such model configuration.
        CheckpointError: The checkpoint cannot be read.
    """
    if section.random_weights:
        from ssa_stream.model import SsaConfig

        return SsaConfig.from_mapping(load_config("model", section.name))
    from ssa_stream.checkpoints import read_info

    return read_info(section.checkpoint or DEFAULT_CHECKPOINT).config


def _main() -> None:
    """Load a file as a node would, but on the processor, to see whether it can be; for the launcher."""
    name, expected = sys.argv[1:]
    end_with_parent()
    try:
        WeightsLoader(ModelSection(checkpoint=name, device="cpu", engine="torch"), expected).load()
    except SsaStreamError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    _main()
