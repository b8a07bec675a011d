"""Where frames come from: files, cameras, live addresses, synthetic scenes and plug-ins, behind one protocol.

`open_source` opens anything a user can type. Around a source, `Freshest` hands out the newest frame and counts what
it drops, `Realtime` plays a recording at its own pace and `Prefetch` decodes ahead without loss. `Recovering` connects
a live one again when it is lost and says in a `SourceStatus` how it is.
"""

from ssa_stream.addresses import redact
from ssa_stream.errors import SourceErrorCode
from ssa_stream.sources.camera import CameraSource, list_cameras
from ssa_stream.sources.file import FileSource
from ssa_stream.sources.monitor import SourceMonitor
from ssa_stream.sources.network import NetworkSource
from ssa_stream.sources.pacing import Freshest, Prefetch, Realtime
from ssa_stream.sources.recovering import Recovering
from ssa_stream.sources.recovery_policy import RecoveryPolicy
from ssa_stream.sources.registry import SOURCE_GROUP, SourceOptions, check_source, known_schemes, open_source
from ssa_stream.sources.source import Frame, Source, SourceInfo
from ssa_stream.sources.status import OnState, SourceLosses, SourceStage, SourceStatus
from ssa_stream.sources.synthetic import SyntheticSource, SyntheticSpec

__all__ = [
    "SOURCE_GROUP",
    "CameraSource",
    "FileSource",
    "Frame",
    "Freshest",
    "NetworkSource",
    "OnState",
    "Prefetch",
    "Realtime",
    "Recovering",
    "RecoveryPolicy",
    "Source",
    "SourceErrorCode",
    "SourceInfo",
    "SourceLosses",
    "SourceMonitor",
    "SourceOptions",
    "SourceStage",
    "SourceStatus",
    "SyntheticSource",
    "SyntheticSpec",
    "check_source",
    "known_schemes",
    "list_cameras",
    "open_source",
    "redact",
]
