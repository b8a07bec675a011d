"""H.264 and H.265 by the device and by the processor, from a file."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.video.stream import VideoStream

from benchmarks.gpu_parts.setting import Row, Setting
from ssa_stream.data import demo_scene, render
from ssa_stream.sources import open_source
from ssa_stream.sources.source import warnings_of

_ENCODERS = ("libx264", "libx265")
_MOST_DIFFERENCE = 1.0
"""Mean difference of levels; decoders are exact, what makes RGB of their output rounds."""


def rows(setting: Setting) -> Iterator[Row]:
    """Frames a second as pictures, and whether they are the same."""
    with tempfile.TemporaryDirectory() as folder:
        for encoder in _ENCODERS:
            if encoder not in av.codec.codecs_available:
                yield Row(f"{encoder[3:]}: no encoder here", "not measured")
                continue
            clip = _clip(Path(folder) / f"{encoder}.mp4", encoder, setting)
            devices = ("none", "cuda" if setting.is_cuda else "auto")
            pictures = {device: _decoded(f"{clip}#hwaccel={device}") for device in devices}
            for device, (fps, means, used) in pictures.items():
                yield Row(f"{encoder[3:]}: hwaccel={device}, decoded by {used}", fps, "frames a second")
                difference = float(np.abs(means - pictures["none"][1]).max())
                yield Row(f"{encoder[3:]}: hwaccel={device}, difference of pictures", difference, "levels")
                if difference > _MOST_DIFFERENCE:
                    raise RuntimeError(f"{encoder[3:]} by {device} gives other pictures, by {difference:.1f} levels")


def _clip(path: Path, encoder: str, setting: Setting) -> Path:
    width, height, count = (160, 96, 6) if setting.small else (1920, 1080, 100)
    with av.open(str(path), "w") as container:
        options = {"preset": "ultrafast", **({"x265-params": "log-level=none"} if encoder == "libx265" else {})}
        stream = cast(VideoStream, container.add_stream(encoder, rate=25, options=options))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for i in range(count):
            picture = render(demo_scene(width, height), i).image
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())
    return path


def _decoded(address: str) -> tuple[float, np.ndarray[tuple[int, ...], np.dtype[np.float64]], str]:
    """Frames a second, means of the pictures, and what decoded."""
    begin_s = time.perf_counter()
    with open_source(address) as source:
        means = [frame.image[::8, ::8].mean() for frame in source.frames()]
        took_s = time.perf_counter() - begin_s
        problems = "; ".join(warnings_of(source))
        used = source.info.decoded_by or "the processor"
        return len(means) / took_s, np.asarray(means), f"{used} ({problems})" if problems else used
