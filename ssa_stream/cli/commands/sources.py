"""`ssa-stream sources`: what can be given as a source on this machine."""

from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from ssa_stream.cli.views.console import output, print_json, shown

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich", help="What can be given as a source on this machine.")

# What a scheme stands for, with an example that can be typed.
_EXAMPLES = {
    "camera": ("a camera of this machine", "0, camera:0, /dev/video0"),
    "file": ("a video, or numbered pictures", "street.mp4, frames/%03d.png, frames/*.png"),
    "http": ("a video or a camera behind a web server", "http://host/live.mjpg"),
    "https": ("the same, encrypted", "https://host/clip.mp4"),
    "pipe": ("standard input, or another open descriptor", "-, pipe:, pipe:3"),
    "rtmp": ("a live stream", "rtmp://host/app/key"),
    "rtmps": ("the same, encrypted", "rtmps://host/app/key"),
    "rtp": ("a live stream", "rtp://239.0.0.1:5004"),
    "rtsp": ("an IP camera", "rtsp://user:password@host/path"),
    "rtsps": ("the same, encrypted", "rtsps://user:password@host/path"),
    "srt": ("a live stream", "srt://host:9000"),
    "synthetic": ("a made-up scene whose sentences are known", "synthetic, synthetic@640x360,30fps,300frames"),
    "tcp": ("a live stream", "tcp://host:9000"),
    "udp": ("a live stream", "udp://0.0.0.0:9000"),
    "v4l2": ("a camera of this machine", "v4l2:/dev/video0"),
    "webrtc": ("a browser's camera, in a pipeline of ssa-stream serve", "webrtc"),
}
_SHOWN_FORMATS = 4


@app.command("list")
def list_sources(as_json: bool = typer.Option(False, "--json", help="Print one JSON object.")) -> None:
    """List the cameras of this machine with their formats, and the schemes of addresses that are known.

    What is listed goes to: ssa-stream run SOURCE, or ssa-stream up webcam --source SOURCE.
    """
    found = _found()
    if as_json:
        print_json(found)
    else:
        _print(found, output())


def _found() -> dict[str, Any]:
    from ssa_stream.sources import known_schemes, list_cameras
    from ssa_stream.sources.registry import plugin_schemes

    plugins = plugin_schemes()
    return {
        "cameras": [_camera(path, name) for path, name in list_cameras().items()],
        "schemes": {scheme: "plug-in" if scheme in plugins else "built in" for scheme in known_schemes()},
    }


def _camera(path: str, name: str) -> dict[str, Any]:
    from ssa_stream.errors import SourceError
    from ssa_stream.sources.camera_formats import camera_formats

    try:
        formats, problem = camera_formats(path), ""
    except SourceError as error:
        formats, problem = (), str(error)
    described = [
        {"code": one.code, "width": one.width, "height": one.height, "rates_hz": list(one.rates_hz)} for one in formats
    ]
    return {"path": path, "name": name, "formats": described, "problem": problem}


def _print(found: dict[str, Any], console: Console) -> None:
    if not found["cameras"]:
        console.print("no camera: there is no /dev/video* here (in a container, pass the device in)")
    for camera in found["cameras"]:
        console.print(f"{camera['path']}  {camera['name']}", style="bold")
        for line in _camera_lines(camera):
            console.print(f"    {line}", soft_wrap=True)
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in ("scheme", "what", "such as"):
        table.add_column(column)
    for scheme, origin in found["schemes"].items():
        what, example = _EXAMPLES.get(scheme, ("", f"{scheme}:..."))
        what = f"of a plug-in {what}".rstrip() if origin == "plug-in" else what
        table.add_row(shown(scheme), shown(what), shown(example))
    console.print()
    console.print(table)


def _camera_lines(camera: dict[str, Any]) -> list[str]:
    if camera["problem"]:
        return [camera["problem"]]
    if not camera["formats"]:
        return ["delivers no pictures; cameras often have such a device beside the one to use"]
    by_code: dict[str, list[str]] = {}
    for one in camera["formats"]:
        rate = f"@{one['rates_hz'][0]:g}" if one["rates_hz"] else ""
        by_code.setdefault(one["code"], []).append(f"{one['width']}x{one['height']}{rate}")
    return [
        f"{code}: {', '.join(sizes[:_SHOWN_FORMATS])}"
        + (f" and {len(sizes) - _SHOWN_FORMATS} more" if len(sizes) > _SHOWN_FORMATS else "")
        for code, sizes in by_code.items()
    ]
