"""A small animation of a video."""

from pathlib import Path

from PIL import Image

from ssa_stream.cli.commands.demo import write_scene
from tools.animation import sampled


def test_sampled_takes_every_third_picture_of_thirty_a_second(tmp_path: Path) -> None:
    """Rate and size are those asked for."""
    write_scene(tmp_path / "in.mp4", 30)
    pictures = sampled(tmp_path / "in.mp4", 160, 10.0)
    assert len(pictures) == 10
    assert all(isinstance(picture, Image.Image) and picture.size == (160, 90) for picture in pictures)
