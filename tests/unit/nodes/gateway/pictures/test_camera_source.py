"""The source that reads from a gateway."""

import pytest

from ssa_stream.errors import ConfigError
from ssa_stream.sources import open_source


def test_camera_address_without_gateway_raises() -> None:
    """`ssa-stream up` has none."""
    for address in ("webrtc", "webrtc:cam"):
        with pytest.raises(ConfigError, match="ssa-stream serve"):
            open_source(address)
