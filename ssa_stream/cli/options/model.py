"""Options of every command that runs a model: which weights, where, how; and where CLIP's weights come from."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from ssa_stream.cli.views.console import status
from ssa_stream.engines import ENGINES
from ssa_stream.errors import ConfigError
from ssa_stream.weight_files import existing_file

if TYPE_CHECKING:
    from torch import Tensor

    from ssa_stream.model import SsaConfig

__all__ = [
    "Checkpoint",
    "Clip",
    "Device",
    "DownloadClip",
    "Dtype",
    "Engine",
    "GraphEngine",
    "ModelName",
    "OptionalTag",
    "Precision",
    "RandomWeights",
    "Threads",
    "check_clip",
    "clip_weights",
]

_DOWNLOAD = "--download-clip"
_PANEL = "Model"

Checkpoint = Annotated[
    str | None,
    typer.Option(
        "--checkpoint",
        "-c",
        metavar="FILE|NAME",
        help="Weight file (.safetensors), or the name of a shipped one. [default: ssa-tiny]",
        rich_help_panel=_PANEL,
    ),
]
RandomWeights = Annotated[
    bool,
    typer.Option(
        "--random-weights",
        help="Run without trained weights. The masks mean nothing; it shows that the pipeline runs.",
        rich_help_panel=_PANEL,
    ),
]
ModelName = Annotated[
    str,
    typer.Option(help="Configuration for --random-weights: a shipped name or a YAML file.", rich_help_panel=_PANEL),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.", rich_help_panel=_PANEL)]
Threads = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Processor threads of the model; default: all cores for eval; for run all but one, which decodes, draws "
        "and serves other programs.",
        rich_help_panel=_PANEL,
    ),
]
Dtype = Annotated[
    str,
    typer.Option(help="float32, bfloat16, or auto: bfloat16 if it is faster here, measured.", rich_help_panel=_PANEL),
]
Precision = Annotated[
    str,
    typer.Option(
        help="Pixel decoder: published (float32) or fast (bfloat16 where safe); auto: published for float32 on a CPU.",
        rich_help_panel=_PANEL,
    ),
]
_ENGINE_HELP = typer.Option(
    metavar="|".join(ENGINES),
    help="What computes the network's stages. torch needs nothing more. openvino and onnxruntime are faster on many "
    "processors; they need their extra, and are built once for each size (see: ssa-stream engine build). cuda-graph is "
    "for NVIDIA GPUs. auto takes one that is built already, else torch, and says why.",
    rich_help_panel=_PANEL,
)
Engine = Annotated[str, _ENGINE_HELP]
GraphEngine = Annotated[str | None, _ENGINE_HELP]
"""As `Engine`; None leaves what the pipeline says."""
Clip = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="CLIP's weights: open_clip's own file, or a checkpoint that contains them.",
        rich_help_panel=_PANEL,
    ),
]
DownloadClip = Annotated[
    str | None,
    typer.Option(
        metavar="[TAG]",
        help="Let open_clip download CLIP's weights; TAG is one of open_clip's for it.",
        rich_help_panel=_PANEL,
    ),
]


class OptionalTag(TyperCommand):
    """A command whose `--download-clip` may stand without a tag."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Fill in the default tag where none follows."""
        filled: list[str] = []
        for i, word in enumerate(args):
            is_bare = word == _DOWNLOAD and (i + 1 == len(args) or args[i + 1].startswith("-"))
            filled.append(f"{_DOWNLOAD}=default" if is_bare else word)
        return super().parse_args(ctx, filled)


def check_clip(clip: Path | None, download: str | None) -> None:
    """Refuse both options together, and a file that is not there; loads no torch.

    Raises:
        ConfigError: Both are given.
        CheckpointError: There is no such file.
    """
    if clip is not None and download is not None:
        raise ConfigError(f"--clip {clip} and {_DOWNLOAD} are both given; choose one")
    if clip is not None:
        existing_file(clip)


def clip_weights(config: "SsaConfig", clip: Path | None, download: str | None) -> "dict[str, Tensor] | None":
    """CLIP's weights as the two options ask for them; None if neither is given.

    Raises:
        ConfigError: Both are given.
        CheckpointError: There is no such file, or it does not hold them.
    """
    check_clip(clip, download)
    from ssa_stream.checkpoints import download_clip, read_clip

    if clip is not None:
        return read_clip(clip, config)
    if download is None:
        return None
    with status(f"open_clip downloads {config.clip.name}"):
        return download_clip(config, download)
