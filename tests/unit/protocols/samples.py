"""One message of every type, every field with another value than its default; the golden files are made of these."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ssa_stream.protocols import (
    EVENTS,
    MASKS,
    NODES,
    PROMPTS,
    STATE,
    Accepted,
    AddPrompt,
    AnyMessage,
    AppliesFrom,
    Buffers,
    BusyTime,
    Counter,
    DropCount,
    DropNotice,
    DropReason,
    EncodedPicture,
    ErrorCode,
    ErrorReply,
    Event,
    EventKind,
    FeaturesMessage,
    Finished,
    FrameIdentity,
    FrameMessage,
    FrameQueriesMessage,
    FrameSizes,
    FrameWork,
    Heartbeat,
    Hello,
    LabelLayer,
    Latency,
    ListPrompts,
    MaskFeaturesMessage,
    MaskMessage,
    NewPrompt,
    PictureMessage,
    Prompt,
    PromptReply,
    PromptState,
    QueueDepth,
    Recover,
    Reloaded,
    ReloadWeights,
    RemovePrompt,
    SetParameters,
    SetPrompts,
    SourceRequest,
    SourceState,
    StageTime,
    StartStream,
    Statistics,
    StreamLoad,
    Topic,
    Track,
    VideoQueriesMessage,
    Welcome,
    WorkPrompt,
)

CLOCK = "monotonic:robot-7"
FRAME = FrameIdentity(
    stream="cam0",
    epoch=2,
    seq=41,
    index=141,
    t=1.375,
    t_receive_ns=1_000_000_041,
    receive_clock=CLOCK,
    pts=123_750,
    time_base=(1, 90_000),
    t_capture_ns=1_000_000_001,
    capture_clock="camera:front",
    live=True,
)
PROMPT = Prompt(id="p1", text="the person carrying the box", version=3)
OTHER_PROMPT = Prompt(id="p2", text="the red car", version=2)
SIZES = FrameSizes(source=(4, 6), network=(2, 3), padded=(32, 32))
TIMES = (
    StageTime(role="ingest", node="ingest-0", clock=CLOCK, received_ns=1_000_000_041, begin_ns=50, end_ns=60),
    StageTime(role="encoder", node="encoder-1", clock=CLOCK, received_ns=70, begin_ns=80, end_ns=90),
)
APPLIES_FROM = AppliesFrom(epoch=2, seq=42, index=142)
# Three rows: the first prompt with this frame; the second, whose memory is made anew, with the one before it and this.
WORK = FrameWork(
    frame=FRAME,
    sizes=SIZES,
    prompts=(WorkPrompt(prompt=PROMPT), WorkPrompt(prompt=OTHER_PROMPT, frames=2)),
    prompts_version=3,
    applies_from=APPLIES_FROM,
    memory=1,
    frames_missed=2,
    times=TIMES[:1],
)
# LZ4 blocks of literals only, by hand: other releases of the library may pack otherwise.
LABELS = np.array([[0, 1, 1, 0, 0, 0], [0, 1, 1, 2, 2, 0], [0, 0, 0, 2, 2, 0], [0, 0, 0, 0, 0, 0]], dtype=np.uint8)
OVERLAP = np.array([[0, 0, 0, 0, 0, 0], [0, 0, 3, 3, 0, 0], [0, 0, 3, 3, 0, 0], [0, 0, 0, 0, 0, 0]], dtype=np.uint8)
RUN_LENGTHS = b"4220<"  # of the first track, column by column: 4 off, 2 on, 2 off, 2 on, 14 off

JPEG = bytes.fromhex(  # 3 x 2 pixels, grey
    "ffd8ffdb004300100b0c0e0c0a100e0d0e1211101318281a181616183123251d283a333d3c3933383740485c4e404457"
    "453738506d51575f626768673e4d71797064785c656763ffc0000b080002000301011100ffc400140001000000000000"
    "00000000000000000005ffc4001d100002020105000000000000000000000001040203050006111251ffda0008010100"
    "003f001370645e4738e2c9bac2ebd567585555b284203c001e06bfffd9"
)


class Sample(NamedTuple):
    """A message as it is sent."""

    message: AnyMessage
    buffers: Buffers
    topic: Topic | None = None


def literal_block(raw: bytes) -> bytes:
    """An LZ4 block that holds bytes as they are; at least 15 and at most 269 of them."""
    assert 15 <= len(raw) < 270
    return bytes([0xF0, len(raw) - 15]) + raw


def _ramp(*shape: int, start: float = 0.0) -> NDArray[np.float32]:
    return (np.arange(math.prod(shape)) / 8 + start).astype(np.float32).reshape(shape)


def samples() -> dict[str, Sample]:
    """Samples by message type; new ones every time, since buffers are not copied."""
    found = [*_tensors(), _masks(), *_requests(), *_published()]
    return {str(sample.message.__struct_config__.tag): sample for sample in found}


def _tensors() -> list[Sample]:
    frame, picture, features, queries, mask_features, video = (Buffers() for _ in range(6))
    maps = [features.add(_ramp(2, c, h, w)) for c, h, w in ((2, 8, 8), (3, 4, 4), (4, 2, 2), (5, 1, 1))]
    return [
        Sample(
            FrameMessage(
                work=WORK,
                image=frame.add(np.arange(18, dtype=np.uint8).reshape(2, 3, 3)),
                history=(frame.add(np.arange(100, 118, dtype=np.uint8).reshape(2, 3, 3)),),
            ),
            frame,
        ),
        Sample(
            PictureMessage(frame=FRAME, image=picture.add(np.arange(72, dtype=np.uint8).reshape(4, 6, 3))),
            picture,
        ),
        Sample(
            FeaturesMessage(
                work=WORK,
                first_row=1,
                maps=(maps[0], maps[1], maps[2], maps[3]),
                sentence=features.add(_ramp(2, 4, start=-1)),
            ),
            features,
        ),
        Sample(
            FrameQueriesMessage(
                work=WORK,
                first_row=1,
                queries=queries.add(_ramp(2, 3, 4).astype(np.float16)),
                text=queries.add(
                    np.array([[0x3F80, 0xC000, 0, 0x7F80], [0x4000, 0, 0, 0xBF80]], dtype=np.uint16), dtype="bfloat16"
                ),
            ),
            queries,
        ),
        Sample(
            MaskFeaturesMessage(
                work=WORK,
                first_row=0,
                rows=(0, 2),
                mask_features=(
                    mask_features.add(np.moveaxis(_ramp(2, 4, 3), -1, 0), channels_last=True),
                    mask_features.add(_ramp(3, 2, 4, start=9)),
                ),
            ),
            mask_features,
        ),
        Sample(
            VideoQueriesMessage(
                frame=FRAME,
                sizes=SIZES,
                prompts=(PROMPT, OTHER_PROMPT),
                probability=video.add(np.array([[0.5, 0.25, 1.0], [0.0, 0.125, 0.75]], dtype=np.float32)),
                mask_embedding=video.add(_ramp(2, 3, 4)),
                aligned=video.add(_ramp(2, 3, 4, start=2)),
                memory_from=120,
                status="provisional",
                frames_missed=2,
                after_reset=True,
                times=TIMES,
                prompts_version=3,
            ),
            video,
        ),
    ]


def _masks() -> Sample:
    buffers = Buffers()
    layers = tuple(
        LabelLayer(buffer=buffers.add_bytes(literal_block(labels.tobytes())), raw_bytes=24)
        for labels in (LABELS, OVERLAP)
    )
    tracks = (
        Track(
            id=5,
            score=0.75,
            probability=0.875,
            box_xyxy=(1, 0, 3, 2),
            area_px=4,
            label=1,
            rle=buffers.add_bytes(RUN_LENGTHS),
        ),
        Track(id=7, score=0.625, probability=0.75, box_xyxy=(3, 1, 5, 3), area_px=4, label=2),
        Track(id=6, score=0.5, probability=0.625, box_xyxy=(2, 1, 4, 3), area_px=4, layer=1, label=3),
    )
    message = MaskMessage(
        frame=FRAME,
        prompt=PROMPT,
        model="ssa-tiny",
        source_size=(4, 6),
        size=(4, 6),
        probability=0.875,
        target_present=True,
        tracks=tracks,
        layers=layers,
        status="provisional",
        frames_missed=2,
        after_reset=True,
        times=TIMES,
        pixel_aspect=(16, 11),
        prompts_version=3,
        picture=EncodedPicture(buffer=buffers.add_bytes(JPEG), size=(2, 3)),
    )
    return Sample(message, buffers, Topic("cam0", MASKS, "p1"))


def _requests() -> list[Sample]:
    new = NewPrompt(text="the red car", id="car")
    return [
        Sample(message, Buffers())
        for message in (
            SetPrompts(request_id="r1", stream="cam0", prompts=(new, NewPrompt(text="the two forklifts"))),
            AddPrompt(request_id="r2", stream="cam0", prompt=new),
            RemovePrompt(request_id="r3", stream="cam0", prompt_id="car"),
            ListPrompts(request_id="r4", stream="cam0"),
            PromptReply(
                request_id="r1",
                stream="cam0",
                prompts=(PROMPT,),
                version=3,
                applies_from=APPLIES_FROM,
                warnings=("prompt p1: it has 93 of CLIP's tokens, and the first 75 are read",),
            ),
            SourceRequest(request_id="r5", stream="cam0", action="reconnect", address="rtsp://camera/1"),
            SetParameters(
                request_id="r6",
                stream="cam0",
                parameters={"mode": "single", "threshold": 0.25, "lookahead": 2, "emit_provisional": True, "max": None},
            ),
            ReloadWeights(request_id="r9"),
            Reloaded(request_id="r9", weights="a09bf6104d820b5a", nodes=("encoder-0", "masks-0")),
            Accepted(request_id="r5", stream="cam0", epoch=3),
            ErrorReply(code=ErrorCode.UNKNOWN_STREAM, text="no stream cam9; there is: cam0", request_id="r7"),
            Finished(node="masks-0", incarnation=1700, stream="cam0", epoch=2, seq=41),
            DropNotice(frame=FRAME, node="encoder-1", reason=DropReason.STALE, prompt_id="p1", frames_missed=2),
            StartStream(
                stream="cam0",
                epoch=3,
                next_index=142,
                memory=1,
                prompts=(PROMPT, OTHER_PROMPT),
                version=3,
                next_prompt_number=4,
                frames_done=140,
            ),
            Recover(stream="cam0", about_node="encoder-1", reason="hung", text="no heartbeat for 2 s"),
            Hello(
                request_id="r8",
                node="encoder-1",
                role="encoder",
                incarnation=1700,
                versions=((1, 0), (2, 3)),
                features=("shared_memory",),
            ),
            Welcome(
                request_id="r8",
                node="control",
                role="control",
                incarnation=1600,
                version=(1, 0),
                features=("shared_memory",),
            ),
        )
    ]


def _published() -> list[Sample]:
    return [
        Sample(
            PromptState(stream="cam0", prompts=(PROMPT,), version=3, applies_from=APPLIES_FROM, by_client=True),
            Buffers(),
            Topic("cam0", PROMPTS),
        ),
        Sample(
            SourceState(
                stream="cam0",
                status="lost",
                epoch=2,
                at_ns=1_000_000_099,
                clock=CLOCK,
                live=True,
                flow="freshest",
                address="rtsp://camera/1",
                size=(4, 6),
                rate_hz=29.97,
                frames=41,
                text="connection refused",
                memory=1,
                next_index=142,
                frames_done=140,
                next_prompt_number=4,
                drops=(DropCount(stream="cam0", reason=DropReason.OVERTAKEN, count=9),),
                code="refused",
                attempt=3,
                retry_in_s=4.25,
                complete_at="marker",
            ),
            Buffers(),
            Topic("cam0", STATE),
        ),
        Sample(
            StreamLoad(
                stream="cam0",
                at_ns=1_000_000_100,
                clock=CLOCK,
                masks_hz=6.25,
                stage="encoder",
                text="overloaded: 15 pictures/s come, 6.2/s get masks; the encoder takes 98 % of the time",
            ),
            Buffers(),
            Topic("cam0", STATE),
        ),
        Sample(
            Event(
                kind=EventKind.NODE_RESTARTED,
                node="launcher",
                at_ns=1_000_000_100,
                clock=CLOCK,
                stream="cam0",
                severity="warning",
                epoch=3,
                seq=0,
                frames_lost=4,
                reason=DropReason.NODE_RESTART,
                about_node="encoder-1",
                prompt_id="p1",
                prompts_version=3,
                text="encoder-1 ended with signal 9",
            ),
            Buffers(),
            Topic("cam0", EVENTS),
        ),
        Sample(
            Heartbeat(
                node="encoder-1",
                role="encoder",
                incarnation=1700,
                beat=12,
                at_ns=1_000_000_101,
                clock=CLOCK,
                ready=True,
                step_age_s=0.03125,
                steps=300,
                queues=(QueueDepth(name="frames", depth=1, capacity=4, dropped=9),),
                text="warming up",
                weights="a09bf6104d820b5af88372568eb0534199ec94fbb0782e95ebc9c0e06e1c6340",
                streams=("cam0", "cam1"),
            ),
            Buffers(),
            Topic(NODES, STATE, "encoder-1"),
        ),
        Sample(
            Statistics(
                node="encoder-1",
                role="encoder",
                incarnation=1700,
                at_ns=1_000_000_102,
                clock=CLOCK,
                interval_s=10.0,
                counters=(Counter(name="frames", value=300, stream="cam0"),),
                drops=(DropCount(stream="cam0", reason=DropReason.OVERTAKEN, count=9),),
                latencies=(
                    Latency(name="step", count=300, p50_ms=4.5, p95_ms=6.0, p99_ms=9.5, max_ms=12.0, stream="cam0"),
                ),
                busy=(BusyTime(name="encoder", seconds=7.25),),
            ),
            Buffers(),
            Topic(NODES, STATE, "encoder-1"),
        ),
    ]
