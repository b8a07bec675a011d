"""What a killed or full recording holds: pictures by their time, and whole lines."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import pytest
import yaml

from tests.support.command_line import write_tiny_config
from tests.support.components import require

__all__ = ["MODEL", "line_times", "mounted", "picture_times", "whole_lines", "write_pipeline"]

MODEL = ("--random-weights", "--model", "tiny.yaml", "--device", "cpu", "--threads", "1")
"""Options of `run` for the network that `write_pipeline` describes in the same folder."""


def write_pipeline(folder: Path, streams: dict[str, Any], **settings: Any) -> Path:
    """A pipeline of the tests' small network on free ports."""
    plain = {
        "model": {"name": str(write_tiny_config(folder)), "random_weights": True, "device": "cpu", "threads": 1},
        "public": {"publish": "tcp://127.0.0.1:*", "requests": "tcp://127.0.0.1:*"},
        "streams": streams,
        **settings,
    }
    path = folder / "pipeline.yaml"
    path.write_text(yaml.safe_dump(plain))
    return path


def whole_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a file, which ends with a whole one."""
    text = path.read_text()
    assert text == "" or text.endswith("}\n"), text[-200:]
    return [json.loads(line) for line in text.splitlines()]


def line_times(path: Path) -> list[float]:
    """Stream time of each line."""
    return [line["t"] for line in whole_lines(path)]


def picture_times(path: Path) -> list[float]:
    """Time of each picture in a video, from its first one."""
    with av.open(str(path)) as container:
        return [frame.time for frame in container.decode(video=0)]


@contextmanager
def mounted(folder: Path, kib: int) -> Iterator[Path]:
    """A file system of its own in a new folder, so small that it gets full."""
    folder.mkdir()
    require("leave to mount a small file system", os.geteuid() == 0, "run the tests as root")
    if os.system(f"mount -t tmpfs -o size={kib}k tmpfs '{folder}'") != 0:
        pytest.fail("tmpfs cannot be mounted here")
    try:
        yield folder
    finally:
        os.system(f"umount '{folder}'")
