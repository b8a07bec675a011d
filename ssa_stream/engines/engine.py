"""Engines as `Stages`: what they do not run themselves, the network runs."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ssa_stream.engines.names import EngineChoice
from ssa_stream.engines.stage_runner import StageRunner
from ssa_stream.model import (
    SSA,
    CarriedPool,
    FeatureMaps,
    FrameQueries,
    SsaConfig,
    Stages,
    TextFeatures,
    WindowOutput,
    empty_carry,
)

__all__ = ["Engine", "GraphEngine"]


class Engine(Stages):
    """The network, run by torch.

    Args:
        network: In evaluation mode from now on.
        choice: Which engine this is, and why.
    Attributes:
        network: The network itself.
        choice: As given.
    """

    def __init__(self, network: SSA, choice: EngineChoice) -> None:
        self.network, self.choice = network.eval(), choice

    @property
    def config(self) -> SsaConfig:
        """See `Stages`."""
        return self.network.config

    @property
    def device(self) -> torch.device:
        """See `Stages`."""
        return self.network.device

    @property
    def dtype(self) -> torch.dtype:
        """See `Stages`."""
        return self.network.dtype

    def encode_text(self, prompts: Sequence[str]) -> TextFeatures:
        """See `Stages`."""
        return self.network.encode_text(prompts)

    def cut_off(self, prompt: str) -> str | None:
        """See `Stages`."""
        return self.network.cut_off(prompt)

    def encode_stem(self, images: Tensor) -> Tensor:
        """See `Stages`."""
        return self.network.encode_stem(images)

    def condition(self, stem: Tensor, text: TextFeatures, frame_index: Tensor | None = None) -> FeatureMaps:
        """See `Stages`."""
        return self.network.condition(stem, text, frame_index)

    def generate_queries(self, maps: FeatureMaps, text: TextFeatures) -> FrameQueries:
        """See `Stages`."""
        return self.network.generate_queries(maps, text)

    def project_queries(self, queries: Tensor) -> Tensor:
        """See `Stages`."""
        return self.network.project_queries(queries)

    def decode_window(self, aligned: Tensor, text: Tensor, carried: CarriedPool | None = None) -> WindowOutput:
        """See `Stages`."""
        return self.network.decode_window(aligned, text, carried)

    def predict_masks(self, embeddings: Tensor, mask_features: Tensor) -> Tensor:
        """See `Stages`."""
        return self.network.predict_masks(embeddings, mask_features)


class GraphEngine(Engine):
    """The network, whose heavy stages run as graphs where there is a graph for the shapes that come.

    Args:
        network: What the graphs were made of, on the processor.
        choice: Which engine this is, and why.
        runner: Has the graphs.
    """

    def __init__(self, network: SSA, choice: EngineChoice, runner: StageRunner) -> None:
        super().__init__(network, choice)
        self._runner = runner

    def encode_stem(self, images: Tensor) -> Tensor:
        """See `Stages`."""
        if images.dim() == 4:
            made = self._runner.run("stem", (images.shape[2], images.shape[3]), (images,))
            if made is not None:
                return made[0]
        return super().encode_stem(images)

    def condition(self, stem: Tensor, text: TextFeatures, frame_index: Tensor | None = None) -> FeatureMaps:
        """See `Stages`."""
        rows = stem if frame_index is None else stem.index_select(0, frame_index)
        if len(rows) == len(text.sentence):
            size = (stem.shape[2] * 4, stem.shape[3] * 4)
            made = self._runner.run("condition", size, (rows, text.words, text.mask, text.sentence))
            if made is not None:
                return made[0], made[1], made[2], made[3]
        return super().condition(stem, text, frame_index)

    def generate_queries(self, maps: FeatureMaps, text: TextFeatures) -> FrameQueries:
        """See `Stages`."""
        size = (maps[0].shape[2] * 4, maps[0].shape[3] * 4)
        made = self._runner.run("queries", size, (*maps, text.sentence))
        return super().generate_queries(maps, text) if made is None else FrameQueries(made[0], made[1], made[2])

    def decode_window(self, aligned: Tensor, text: Tensor, carried: CarriedPool | None = None) -> WindowOutput:
        """See `Stages`; without predictions, which are for training."""
        B, _, N, C = aligned.shape
        before = carried or empty_carry(N, C, aligned.device, B)
        made = self._runner.run("window", (0, 0), (aligned, text, *before))
        if made is not None:
            # What is summed in float32 stays so, whatever the network's type is.
            return WindowOutput(made[0].float(), made[1], made[2], made[3], made[4], ())
        return super().decode_window(aligned, text, carried)
