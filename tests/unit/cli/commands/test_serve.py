"""A pipeline for `ssa-stream serve`."""

from typing import Any


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
