"""What people look at: results drawn over pictures, and sheets of many pictures."""

from ssa_stream.viz.colours import prompt_colours, track_colour
from ssa_stream.viz.contact_sheet import contact_sheet
from ssa_stream.viz.overlay import draw_overlay
from ssa_stream.viz.window import LiveWindow, has_display

__all__ = ["LiveWindow", "contact_sheet", "draw_overlay", "has_display", "prompt_colours", "track_colour"]
