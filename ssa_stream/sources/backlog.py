"""The pictures that piled up while a live source was being probed."""

__all__ = ["Backlog"]

# A read that waited this long waited for the camera, not for a copy out of a buffer.
_WAITED_S = 0.005
# However fast everything comes: a source that is not paced by the world has no backlog that ends.
_LONGEST_S = 5.0


class Backlog:
    """Tells, at the start of a live stream, which pictures are old: those that come without any wait."""

    def __init__(self) -> None:
        self.dropped = 0
        self._is_over = False

    def holds(self, *, read_s: float, t: float) -> bool:
        """Whether the next picture is one of the backlog; asked once for each.

        Args:
            read_s: How long the read waited for its packet.
            t: Its stream time in seconds.
        """
        self._is_over = self._is_over or read_s >= _WAITED_S or t > _LONGEST_S
        self.dropped += not self._is_over
        return not self._is_over
