"""What servers of live streams need on disk: pictures to loop, a certificate."""

import subprocess
from pathlib import Path

import cv2

from ssa_stream.data import demo_scene, render
from tests.support.video_files import numbered_image

__all__ = ["write_certificate", "write_pictures", "write_scene_pictures"]


def write_pictures(folder: Path, count: int) -> Path:
    """Write `000.jpg` and so on, each showing its number; returns the folder."""
    for number in range(count):
        cv2.imwrite(str(folder / f"{number:03d}.jpg"), numbered_image(number))
    return folder


def write_scene_pictures(folder: Path, count: int, *, width: int, height: int) -> Path:
    """Write the first pictures of the demo's scene as `000.jpg` and so on; returns the folder."""
    scene = demo_scene(width, height, count)
    for number in range(count):
        cv2.imwrite(str(folder / f"{number:03d}.jpg"), cv2.cvtColor(render(scene, number).image, cv2.COLOR_RGB2BGR))
    return folder


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """Write a certificate for this machine that nobody vouches for, by openssl.

    Returns:
        The file with key and certificate, for a server, and that of the certificate alone, for who trusts it.
    """
    key, certificate, both = folder / "key.pem", folder / "certificate.pem", folder / "both.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    both.write_text(key.read_text() + certificate.read_text())
    return both, certificate
