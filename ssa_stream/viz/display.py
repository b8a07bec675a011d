"""Live pictures on the desktop."""

import os
import sys
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ssa_stream.errors import MissingExtraError
from ssa_stream.extras import install_command
from ssa_stream.printable import printable

__all__ = ["LiveDisplay", "has_display"]


def has_display() -> bool:
    """Whether this process can show anything."""
    if sys.platform.startswith("linux"):
        return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or os.environ.get("SDL_VIDEODRIVER"))
    return True


class LiveDisplay:
    """Show RGB pictures on the desktop, at their own size. Use it in one thread, the main one on macOS.

    Args:
        title: Caption above the pictures.
    Raises:
        MissingExtraError: pygame is not installed.
    """

    def __init__(self, title: str) -> None:
        try:
            os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
            import pygame
        except ImportError as error:
            raise MissingExtraError(
                f"a live display needs pygame; install it with: {install_command('view')}"
            ) from error
        self._pygame = pygame
        pygame.display.init()
        pygame.display.set_caption(printable(title))
        self._screen: pygame.Surface | None = None

    def show(self, picture: NDArray[np.uint8]) -> bool:
        """Show a picture.

        Args:
            picture: `(H, W, 3)` uint8 RGB.
        Returns:
            False once the user has closed it or pressed Escape or Q.
        """
        pygame = self._pygame
        height, width = picture.shape[:2]
        if self._screen is None or self._screen.get_size() != (width, height):
            self._screen = pygame.display.set_mode((width, height))
        pygame.surfarray.blit_array(self._screen, picture.swapaxes(0, 1))
        pygame.display.flip()
        return not any(
            event.type == pygame.QUIT or (event.type == pygame.KEYDOWN and event.key in (pygame.K_ESCAPE, pygame.K_q))
            for event in pygame.event.get()
        )

    def close(self) -> None:
        """Close it; may be called twice."""
        self._pygame.display.quit()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
