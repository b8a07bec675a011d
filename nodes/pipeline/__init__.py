"""Configuration of a graph: read from YAML, and read by all nodes. Imports no torch."""

from ssa_stream.nodes.pipeline.config import PipelineConfig, load_pipeline, save_pipeline
from ssa_stream.nodes.pipeline.files import check_pipeline_files
from ssa_stream.nodes.pipeline.names import (
    BROKER,
    DECODER,
    GATEWAY,
    MASKS,
    ROLES,
    ingest_name,
    role_of,
    stream_of,
    worker_names,
)
from ssa_stream.nodes.pipeline.sections import (
    ClientsSection,
    DecoderSection,
    FlowSection,
    HealthSection,
    MasksSection,
    ModelSection,
    PromptTexts,
    PublicSection,
    ScheduledPrompts,
    SessionSection,
    StreamSection,
    WorkersSection,
)

__all__ = [
    "BROKER",
    "DECODER",
    "GATEWAY",
    "MASKS",
    "ROLES",
    "ClientsSection",
    "DecoderSection",
    "FlowSection",
    "HealthSection",
    "MasksSection",
    "ModelSection",
    "PipelineConfig",
    "PromptTexts",
    "PublicSection",
    "ScheduledPrompts",
    "SessionSection",
    "StreamSection",
    "WorkersSection",
    "check_pipeline_files",
    "ingest_name",
    "load_pipeline",
    "role_of",
    "save_pipeline",
    "stream_of",
    "worker_names",
]
