"""`ssa-stream engine export`: a network as ONNX files, for programs that know nothing of this package."""

import re
from pathlib import Path
from typing import Annotated

import typer

from ssa_stream.cli.options.engine import ModelChoice, open_model
from ssa_stream.cli.options.files import Overwrite
from ssa_stream.cli.options.model import Checkpoint, Clip, DownloadClip, ModelName, RandomWeights, Threads
from ssa_stream.cli.views.console import notice, print_line
from ssa_stream.errors import ConfigError, SinkError
from ssa_stream.extras import install_command
from ssa_stream.weight_files import DEFAULT_CHECKPOINT, WeightFile

__all__ = ["export", "source_size"]

_SIZE = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")


def source_size(text: str) -> tuple[int, int]:
    """Height and width of the pictures that `--size` names, `WxH`.

    Raises:
        ConfigError: It is something else.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ConfigError(f"--size is {text!r}; expected the width and the height of pictures, such as 1280x720")
    return int(match[2]), int(match[1])


def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the files go; made if it is not there.")],
    size: Annotated[
        str, typer.Option(metavar="WxH", help="Size of the source's pictures, such as 1280x720.", show_default=False)
    ],
    window: Annotated[int, typer.Option(min=1, help="Frames of a window, for the files' metadata.")] = 8,
    threshold: Annotated[float, typer.Option(min=0, max=1, help="Least probability, for the metadata.")] = 0.5,
    short_edge: Annotated[
        int | None, typer.Option(min=32, help="Shortest edge at the network in pixels.", show_default=False)
    ] = None,
    overwrite: Overwrite = False,
    checkpoint: Checkpoint = None,
    clip: Clip = None,
    download_clip: DownloadClip = None,
    random_weights: RandomWeights = False,
    model: ModelName = "ssa-tiny",
    threads: Threads = None,
) -> None:
    """Write a network as ONNX files, one for each stage, and the tokenizer of its sentences.

    Any program with ONNX Runtime can run them, without torch and without ssa_stream; docs/engines.md describes every
    input and output, and examples/onnx_without_torch.py is such a program. It takes a minute or more.

        ssa-stream engine export onnx --size 640x360

        ssa-stream engine export onnx --size 1280x720 -c ssa.safetensors
    """
    output = source_size(size)
    choice = ModelChoice(
        model=model,
        checkpoint=checkpoint,
        random_weights=random_weights,
        clip=clip,
        download_clip=download_clip,
        device="cpu",
        dtype="float32",
    )
    choice.check()
    try:
        from ssa_stream.engines.files import file_names, write_files
    except ModuleNotFoundError as error:
        if error.name != "onnx":
            raise
        raise ConfigError(f"onnx is not installed; install it with: {install_command('onnxruntime')}") from error
    there = [name for name in file_names() if (folder / name).exists()]
    if there and not overwrite:
        raise SinkError(f"{folder / there[0]} exists already; add --overwrite to replace it, or give another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SinkError(f"cannot make the folder {folder} ({error.strerror}); give another one") from error
    network = open_model(choice, threads=threads)
    from ssa_stream.engines import EngineCache
    from ssa_stream.streaming import SessionConfig

    sizes = SessionConfig(short_edge_px=short_edge).sizes_of(output, network.config)
    facts = {
        "fingerprint": "random" if random_weights else WeightFile.read(checkpoint or DEFAULT_CHECKPOINT).fingerprint,
        "window": str(window),
        "threshold": str(threshold),
    }

    def tell(name: str) -> None:
        notice(f"writing {folder / name}", event="export", file=name)

    try:
        write_files(network, sizes, folder, facts, cache=EngineCache(), overwrite=overwrite, on_file=tell)
    except OSError as error:
        raise SinkError(f"cannot write into {folder}: {error.strerror or error}") from error
    height, width = sizes.padded
    print_line(f"wrote {len(file_names())} files for pictures of {width}x{height} at the network: {folder}")
