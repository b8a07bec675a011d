"""`ssa-stream sources list`."""

import json

import pytest
from typer.testing import CliRunner

from ssa_stream import sources
from ssa_stream.cli.main import app
from ssa_stream.errors import SourceError
from ssa_stream.sources import camera_formats
from ssa_stream.sources.camera_formats import CameraFormat

RUNNER = CliRunner()


@pytest.fixture
def _cameras(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three devices: a camera, its second device without pictures, and one of somebody else's."""

    def formats(device: str) -> tuple[CameraFormat, ...]:
        if device == "/dev/video2":
            raise SourceError("/dev/video2 may not be opened by this user")
        size = (CameraFormat("MJPG", 1280, 720, (30.0, 15.0)), *[CameraFormat("YUYV", 640, 480, ())] * 6)
        return size if device == "/dev/video0" else ()

    monkeypatch.setattr(sources, "list_cameras", lambda: {f"/dev/video{i}": "Webcam [C920]" for i in range(3)})
    monkeypatch.setattr(camera_formats, "camera_formats", formats)


@pytest.mark.usefixtures("_cameras")
def test_cameras_are_listed_with_formats_or_what_is_wrong() -> None:
    """Long lists are cut."""
    text = RUNNER.invoke(app, ["sources", "list"]).output
    assert "/dev/video0  Webcam [C920]" in text
    assert "MJPG: 1280x720@30\n" in text
    assert "640x480, 640x480 and 2 more" in text
    assert "delivers no pictures" in text
    assert "may not be opened by this user" in text


@pytest.mark.usefixtures("_cameras")
def test_json_has_all_of_it() -> None:
    """For programs."""
    found = json.loads(RUNNER.invoke(app, ["sources", "list", "--json"]).output)
    assert found["cameras"][0]["formats"][0] == {"code": "MJPG", "width": 1280, "height": 720, "rates_hz": [30.0, 15.0]}
    assert found["schemes"]["synthetic"] == "built in"


def test_every_built_in_scheme_has_an_example(monkeypatch: pytest.MonkeyPatch) -> None:
    """No line of the table is left without one."""
    monkeypatch.setattr(sources, "list_cameras", dict)
    text = RUNNER.invoke(app, ["sources", "list"]).output
    assert "no camera" in text
    found = json.loads(RUNNER.invoke(app, ["sources", "list", "--json"]).output)
    for scheme, origin in found["schemes"].items():
        assert origin == "plug-in" or f"{scheme}:..." not in text
