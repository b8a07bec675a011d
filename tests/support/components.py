"""Tests that need a component of the system: skipped without it, or failed where it must be there."""

import os

import pytest

__all__ = ["REQUIRE_VARIABLE", "require"]

REQUIRE_VARIABLE = "SSA_STREAM_REQUIRE_COMPONENTS"


def require(component: str, available: bool, how_to_get: str) -> None:
    """Go on with the test only if a component is there.

    Args:
        component: Its name, for people: "an RTSP server (gst-rtsp-server)".
        available: Whether it was found.
        how_to_get: What to do to have it: "apt-get install gir1.2-gst-rtsp-server-1.0".

    If it is not there the test is skipped; where the environment variable `SSA_STREAM_REQUIRE_COMPONENTS` is set to
    something other than 0, as `.ci/run` does, it fails.
    """
    if available:
        return
    reason = f"needs {component}, which is not on this machine; to get it: {how_to_get}"
    if os.environ.get(REQUIRE_VARIABLE, "0") not in ("", "0"):
        pytest.fail(f"{reason} ({REQUIRE_VARIABLE} is set)", pytrace=False)
    pytest.skip(reason)
