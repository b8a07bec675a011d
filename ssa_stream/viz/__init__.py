"""What people look at: results drawn over pictures, and sheets of many pictures."""

from ssa_stream.viz.colours import prompt_colours
from ssa_stream.viz.contact_sheet import contact_sheet
from ssa_stream.viz.display import LiveDisplay, has_display
from ssa_stream.viz.overlay import draw_overlay

__all__ = ["LiveDisplay", "contact_sheet", "draw_overlay", "has_display", "prompt_colours"]
