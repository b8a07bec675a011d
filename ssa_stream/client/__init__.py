"""Client of a running graph: the newest masks as they come, and requests for other prompts. Needs no torch.

from ssa_stream.client import PromptClient, masks

with PromptClient(stream="cam0") as prompts:
    prompts.set(["the person in red"])
for view in masks(stream="cam0", max_age_s=0.2):
    for track in view.tracks:
        print(track.id, track.box_xyxy, view.mask(track).sum(), view.age_s)
"""

from ssa_stream.client.exchange import ReloadedWeights, StreamPrompts
from ssa_stream.client.mask_view import MaskView
from ssa_stream.client.masks import MaskCounts, MaskSubscription, masks, masks_async
from ssa_stream.client.polygons import Polygon
from ssa_stream.client.prompts import (
    DEFAULT_REQUESTS_ADDRESS,
    AsyncPromptClient,
    PromptClient,
)
from ssa_stream.client.subscription import DEFAULT_PUBLISH_ADDRESS
from ssa_stream.client.updates import Update, UpdateSubscription, updates
from ssa_stream.client.weights import reload_weights
from ssa_stream.run_lengths import RunLengths

__all__ = [
    "DEFAULT_PUBLISH_ADDRESS",
    "DEFAULT_REQUESTS_ADDRESS",
    "AsyncPromptClient",
    "MaskCounts",
    "MaskSubscription",
    "MaskView",
    "Polygon",
    "PromptClient",
    "ReloadedWeights",
    "RunLengths",
    "StreamPrompts",
    "Update",
    "UpdateSubscription",
    "masks",
    "masks_async",
    "reload_weights",
    "updates",
]
