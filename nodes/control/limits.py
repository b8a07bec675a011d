"""How much the hub takes at once."""

from ssa_stream.protocols import Limits

__all__ = ["CONTROL_LIMITS", "MASK_LIMITS"]

CONTROL_LIMITS = Limits(max_frames=4, max_buffer_bytes=2**16, max_message_bytes=2**18)
"""Of everything but masks: headers only."""
MASK_LIMITS = Limits()
"""Of masks."""
