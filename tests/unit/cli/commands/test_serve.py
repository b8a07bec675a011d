"""A pipeline for `ssa-stream serve`."""

import os
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from ssa_stream.cli.commands.serve import serve
from ssa_stream.errors import ConfigError
from tests.support.certificates import certificate


def test_serve_pipeline_is_connected_to_gateway(tmp_path: Any) -> None:
    """A camera comes from the gateway's socket; other sources hand their pictures to it."""
    from ssa_stream.cli.commands.serve import with_gateway
    from ssa_stream.nodes.pipeline import PipelineConfig

    config = PipelineConfig.from_mapping(
        {
            "model": {"random_weights": True},
            "streams": {
                "cam": {"source": "webrtc"},
                "scene": {"source": "synthetic@64x36"},
                "file": {"source": "a.mp4"},
            },
        },
        origin="test",
    )
    changed, access = with_gateway(config, tmp_path)
    assert {name: one.kind for name, one in access.items()} == {"cam": "camera", "scene": "scene", "file": "source"}
    assert changed.streams["cam"].source == f"webrtc:cam@{tmp_path}/cameras.sock"
    assert changed.streams["cam"].live is True
    assert changed.streams["file"].outputs == (f"webrtc:file@{tmp_path}/pictures.sock",)
    assert changed.streams["cam"].outputs == ()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe", "has byte 0xff at 0"),
        ("schl\u00fcssel".encode(), "has byte 0xc3 at 4"),
        (b"abc\ndef\n", "has 2 lines"),
        (b"abc\x07", "has control characters"),
        (b"abc\0def", "has control characters"),
        (b" \n", "is empty"),
        (b"x" * 5000, "more than 4,096 bytes"),
    ],
)
@pytest.mark.parametrize("option", ["--token-file", "--turn"])
def test_serve_secret_that_no_header_can_carry_raises(tmp_path: Path, option: str, content: bytes, said: str) -> None:
    """Instead of a page that lets nobody in, or a traceback."""
    file = tmp_path / "secret"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=f"^{option}: .*{said}"):
        _serve_with(option, file)


@pytest.mark.parametrize("option", ["--token-file", "--turn", "--tls-cert", "--tls-key"])
def test_serve_secret_from_pipe_or_device_raises(tmp_path: Path, option: str) -> None:
    """The one would be waited for, the other fill the memory."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for file in (pipe, Path("/dev/zero")):
        with pytest.raises(ConfigError, match="is a pipe or a device; expected"):
            _serve_with(option, file)


def test_serve_key_that_is_encrypted_raises(tmp_path: Path) -> None:
    """Nobody is asked for a password: the gateway would wait at a terminal that is not its own."""
    cert, key = certificate(tmp_path)
    plain = serialization.load_pem_private_key(key.read_bytes(), None)
    key.write_bytes(
        plain.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(ConfigError, match="the key is encrypted"):
        serve(tls_cert=cert, tls_key=key)


def _serve_with(option: str, file: Path) -> None:
    """Only what is wrong with the file ends it, before anything is loaded."""
    match option:
        case "--token-file":
            serve(token_file=file)
        case "--turn":
            serve(turn=[f"turn:turn.example,me,{file}"])
        case "--tls-cert":
            serve(tls_cert=file, tls_key=Path(__file__))
        case _:
            serve(tls_cert=Path(__file__), tls_key=file)
