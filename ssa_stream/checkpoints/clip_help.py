"""The one text that says how to come by CLIP weights."""

__all__ = ["CLIP_WAYS"]

CLIP_WAYS = (
    "Give them in one of three ways: "
    "--clip FILE with open_clip's own weight file (.pt, .bin or .safetensors); "
    "--clip CHECKPOINT with an ssa_stream checkpoint that contains them; "
    "or --download-clip [TAG], which lets open_clip download them."
)
