"""How large a picture may be, told from its head: nobody should need 5 GB for a file of 2 MB."""

from dataclasses import dataclass

from ssa_stream.errors import ConfigError

__all__ = ["USUAL_LIMITS", "PictureLimits"]

_HIGHEST_EDGE_PX = 1_000_000
_HIGHEST_AREA_PX = 2_000_000_000


@dataclass(frozen=True, slots=True)
class PictureLimits:
    """The largest picture that is decoded. Photographs of 50 megapixels and 8K video are within the defaults.

    Attributes:
        edge_px: Longest edge in pixels.
        area_px: Most pixels in all.
    """

    edge_px: int = 16_384
    area_px: int = 64_000_000

    def __post_init__(self) -> None:
        """Refuse what is no limit.

        Raises:
            ConfigError: One of them is below 1, or more than any decoder can do.
        """
        for name, value, highest in (
            ("edge", self.edge_px, _HIGHEST_EDGE_PX),
            ("area", self.area_px, _HIGHEST_AREA_PX),
        ):
            if not 1 <= value <= highest:
                raise ConfigError(f"the limit of a picture's {name} is {value}: expected 1 to {highest:,} pixels")

    def problem(self, width: int, height: int) -> str | None:
        """Say why a picture of that size is refused; None if it is small enough.

        Returns:
            A part of a sentence, such as "60000x60000 pixels; at most 16,384 in each direction and 64,000,000 in all".
        """
        if max(width, height) <= self.edge_px and width * height <= self.area_px:
            return None
        return f"{width}x{height} pixels; {self}"

    def __str__(self) -> str:
        """The limits in words."""
        return f"at most {self.edge_px:,} in each direction and {self.area_px:,} in all"


USUAL_LIMITS = PictureLimits()
"""What holds where nobody says otherwise."""
