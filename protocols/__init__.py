"""Messages, topics and versions that the nodes and their subscribers speak; docs/protocol.md describes the bytes.

packet = decode(socket.recv_multipart(copy=False), Limits())
match packet.message:
    case MaskMessage() as message:
        labels = unpack_labels(message, packet.buffers)
        masks = {track.id: labels.mask(track) for track in message.tracks}
"""

from ssa_stream.protocols.codec import Limits, Packet, decode, encode
from ssa_stream.protocols.control import (
    Accepted,
    ErrorCode,
    ErrorReply,
    Reloaded,
    ReloadWeights,
    SetParameters,
    SourceRequest,
)
from ssa_stream.protocols.events import DropReason, Event, EventKind
from ssa_stream.protocols.flow import DropNotice, Finished, Recover, StartStream
from ssa_stream.protocols.frames import FrameMessage, PictureMessage
from ssa_stream.protocols.handshake import Hello, Welcome
from ssa_stream.protocols.health import BusyTime, Counter, DropCount, Heartbeat, Latency, QueueDepth, Statistics
from ssa_stream.protocols.identity import (
    AppliesFrom,
    FrameIdentity,
    FrameSizes,
    Prompt,
    StageTime,
    Status,
    host_clock_name,
)
from ssa_stream.protocols.label_maps import LabelMaps, PackedLabels, Place, pack_labels, unpack_labels
from ssa_stream.protocols.masks import EncodedPicture, LabelLayer, MaskMessage, Track
from ssa_stream.protocols.message import Buffer, Message, Unknown
from ssa_stream.protocols.message_types import MESSAGE_TYPES, AnyMessage
from ssa_stream.protocols.prompts import (
    AddPrompt,
    ListPrompts,
    NewPrompt,
    PromptReply,
    PromptState,
    RemovePrompt,
    SetPrompts,
)
from ssa_stream.protocols.stages import FeaturesMessage, FrameQueriesMessage, MaskFeaturesMessage, VideoQueriesMessage
from ssa_stream.protocols.state import SourceState, StreamLoad
from ssa_stream.protocols.tensors import Buffers, Dtype, Layout, TensorSpec
from ssa_stream.protocols.topics import (
    EVENTS,
    KINDS,
    MASKS,
    NODES,
    PROMPTS,
    STATE,
    Topic,
    is_subscription,
    is_wanted,
    subscription,
)
from ssa_stream.protocols.version import SUPPORTED_VERSIONS, VERSION, Version, negotiate
from ssa_stream.protocols.work import FrameWork, WorkPrompt
from ssa_stream.run_lengths import decode_counts

__all__ = [
    "EVENTS",
    "KINDS",
    "MASKS",
    "MESSAGE_TYPES",
    "NODES",
    "PROMPTS",
    "STATE",
    "SUPPORTED_VERSIONS",
    "VERSION",
    "Accepted",
    "AddPrompt",
    "AnyMessage",
    "AppliesFrom",
    "Buffer",
    "Buffers",
    "BusyTime",
    "Counter",
    "DropCount",
    "DropNotice",
    "DropReason",
    "Dtype",
    "EncodedPicture",
    "ErrorCode",
    "ErrorReply",
    "Event",
    "EventKind",
    "FeaturesMessage",
    "Finished",
    "FrameIdentity",
    "FrameMessage",
    "FrameQueriesMessage",
    "FrameSizes",
    "FrameWork",
    "Heartbeat",
    "Hello",
    "LabelLayer",
    "LabelMaps",
    "Latency",
    "Layout",
    "Limits",
    "ListPrompts",
    "MaskFeaturesMessage",
    "MaskMessage",
    "Message",
    "NewPrompt",
    "PackedLabels",
    "Packet",
    "PictureMessage",
    "Place",
    "Prompt",
    "PromptReply",
    "PromptState",
    "QueueDepth",
    "Recover",
    "ReloadWeights",
    "Reloaded",
    "RemovePrompt",
    "SetParameters",
    "SetPrompts",
    "SourceRequest",
    "SourceState",
    "StageTime",
    "StartStream",
    "Statistics",
    "Status",
    "StreamLoad",
    "TensorSpec",
    "Topic",
    "Track",
    "Unknown",
    "Version",
    "VideoQueriesMessage",
    "Welcome",
    "WorkPrompt",
    "decode",
    "decode_counts",
    "encode",
    "host_clock_name",
    "is_subscription",
    "is_wanted",
    "negotiate",
    "pack_labels",
    "subscription",
    "unpack_labels",
]
