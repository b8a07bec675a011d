"""What people look at: results drawn over pictures, and sheets of many pictures."""

from ssa_stream.viz.colours import prompt_colours, track_colour
from ssa_stream.viz.contact_sheet import contact_sheet
from ssa_stream.viz.overlay import draw_overlay

__all__ = ["contact_sheet", "draw_overlay", "prompt_colours", "track_colour"]
