"""All message types of the protocol."""

from ssa_stream.protocols.control import Accepted, ErrorReply, Reloaded, ReloadWeights, SetParameters, SourceRequest
from ssa_stream.protocols.events import Event
from ssa_stream.protocols.flow import DropNotice, Finished, Recover, StartStream
from ssa_stream.protocols.frames import FrameMessage, PictureMessage
from ssa_stream.protocols.handshake import Hello, Welcome
from ssa_stream.protocols.health import Heartbeat, Statistics
from ssa_stream.protocols.masks import MaskMessage
from ssa_stream.protocols.prompts import (
    AddPrompt,
    ListPrompts,
    PromptReply,
    PromptState,
    RemovePrompt,
    SetPrompts,
)
from ssa_stream.protocols.stages import FeaturesMessage, FrameQueriesMessage, MaskFeaturesMessage, VideoQueriesMessage
from ssa_stream.protocols.state import SourceState, StreamLoad

__all__ = ["MESSAGE_TYPES", "AnyMessage"]

AnyMessage = (
    FrameMessage
    | PictureMessage
    | FeaturesMessage
    | FrameQueriesMessage
    | MaskFeaturesMessage
    | VideoQueriesMessage
    | MaskMessage
    | SetPrompts
    | AddPrompt
    | RemovePrompt
    | ListPrompts
    | PromptReply
    | PromptState
    | SourceRequest
    | SetParameters
    | ReloadWeights
    | Reloaded
    | Accepted
    | ErrorReply
    | SourceState
    | StreamLoad
    | Event
    | Heartbeat
    | Statistics
    | Finished
    | DropNotice
    | StartStream
    | Recover
    | Hello
    | Welcome
)

MESSAGE_TYPES: dict[str, type[AnyMessage]] = {str(kind.__struct_config__.tag): kind for kind in AnyMessage.__args__}
"""Message classes by the type that headers carry."""
