"""Any message that may be sent: drawn from the types of the fields themselves, so that none is forgotten."""

from collections.abc import Callable
from typing import Any, Literal, cast

import msgspec.inspect as types
from hypothesis import strategies as st
from msgspec import UNSET

from ssa_stream.printable import printable
from ssa_stream.protocols import (
    MESSAGE_TYPES,
    AnyMessage,
    Buffers,
    EncodedPicture,
    FeaturesMessage,
    FrameIdentity,
    FrameMessage,
    FrameQueriesMessage,
    FrameSizes,
    FrameWork,
    LabelLayer,
    MaskFeaturesMessage,
    MaskMessage,
    Message,
    NewPrompt,
    PictureMessage,
    Prompt,
    TensorSpec,
    Track,
    VideoQueriesMessage,
    WorkPrompt,
)
from ssa_stream.protocols.tensors import Dtype, Layout

Drawn = tuple[AnyMessage, Buffers]
DTYPES: tuple[Dtype, ...] = ("uint8", "bool", "int32", "int64", "float16", "bfloat16", "float32")
LABEL_TYPES: tuple[tuple[Literal["uint8", "uint16"], int], ...] = (("uint8", 1), ("uint16", 2))
SMALL = st.integers(0, 4)
# Lists of these hold no two of the same key.
KEYS: dict[type[Any], Callable[[Any], str]] = {
    Prompt: lambda prompt: prompt.id,
    WorkPrompt: lambda item: item.prompt.id,
}


def packets() -> st.SearchStrategy[Drawn]:
    """A message of any type with its buffers."""
    return st.sampled_from(sorted(MESSAGE_TYPES)).flatmap(packets_of)


def packets_of(name: str) -> st.SearchStrategy[Drawn]:
    """A message of one type with its buffers."""
    kind = MESSAGE_TYPES[name]
    if kind in WITH_BUFFERS:
        return _with_buffers(WITH_BUFFERS[kind])
    return _struct(kind).map(lambda message: (message, Buffers()))


def _value(info: types.Type) -> st.SearchStrategy[Any]:
    match info:
        case types.BoolType():
            return st.booleans()
        case types.NoneType():
            return st.none()
        case types.IntType():
            return st.integers(info.ge, info.le)
        case types.FloatType():
            low = info.gt if info.ge is None else info.ge
            return st.floats(low, info.le, exclude_min=info.gt is not None)
        case types.StrType(pattern=None):
            longest = min(info.max_length or 20, 20)
            return st.text(st.characters(exclude_categories=["Cs"]), min_size=info.min_length or 0, max_size=longest)
        case types.StrType():
            return st.from_regex(info.pattern or "", fullmatch=True).filter(lambda text: len(text) <= 32)
        case types.LiteralType():
            return st.sampled_from(info.values)
        case types.UnionType():
            return st.one_of(*map(_value, info.types))
        case types.TupleType():
            return st.tuples(*map(_value, info.item_types))
        case types.VarTupleType(item_type=types.StructType(cls=kind)) if kind in KEYS:
            return _unique(_value(info.item_type), kind).map(tuple)
        case types.VarTupleType():
            return st.lists(_value(info.item_type), min_size=info.min_length or 0, max_size=3).map(tuple)
        case types.DictType():
            return st.dictionaries(_value(info.key_type), _value(info.value_type), max_size=3)
        case types.StructType():
            return _struct(info.cls)
    raise AssertionError(f"no strategy for {info}")


def _unique(items: st.SearchStrategy[Any], kind: type[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(items, max_size=3, unique_by=KEYS[kind])


def _struct(kind: type[Any], **given: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    fields = {field.name: _value(field.type) for field in _fields(kind) if field.name not in {"v", *given}} | given
    if kind in (Prompt, NewPrompt):  # shown to people, who are to see all of it
        fields["text"] = fields["text"].map(printable)
    made = st.fixed_dictionaries(fields)
    return (made.map(_whole) if kind is FrameIdentity else made).map(lambda values: kind(**values))


def _fields(kind: type[Any]) -> tuple[types.Field, ...]:
    info = types.type_info(kind)
    assert isinstance(info, types.StructType)
    return info.fields


def _whole(values: dict[str, Any]) -> dict[str, Any]:
    """What goes together in a frame's identity comes together."""
    if values["time_base"] is None:
        values["pts"] = None
    if values["capture_clock"] is None or values["t_capture_ns"] is None:
        values["capture_clock"] = values["t_capture_ns"] = None
    return values


def _plain(draw: st.DrawFn, kind: type[Message], made: dict[str, Any]) -> AnyMessage:
    """The message with the fields that were made; the others are drawn."""
    return cast(AnyMessage, draw(_struct(kind, **{name: st.just(value) for name, value in made.items()})))


def _tensor(draw: st.DrawFn, buffers: Buffers, *shape: int, dtype: Dtype | None = None) -> TensorSpec:
    drawn = draw(st.sampled_from(DTYPES)) if dtype is None else dtype
    layout: Layout = "row_major"
    if len(shape) >= 3 and dtype is None and draw(st.booleans()):
        layout = "channels_last"
    length = TensorSpec(dtype=drawn, shape=shape, buffer=0).nbytes
    return buffers.add_tensor(draw(st.binary(min_size=length, max_size=length)), drawn, shape, layout)


def _work(draw: st.DrawFn) -> FrameWork:
    """Of a picture that is small, with few rows."""
    sizes = _struct(FrameSizes, network=st.tuples(st.integers(1, 4), st.integers(1, 4)))
    prompts = _unique(_struct(WorkPrompt, frames=st.integers(1, 3)), WorkPrompt).map(tuple)
    return cast(FrameWork, draw(_struct(FrameWork, sizes=sizes, prompts=prompts)))


def _some_rows(draw: st.DrawFn, work: FrameWork) -> tuple[int, int]:
    """First one, and how many."""
    first_row = draw(st.integers(0, work.num_rows))
    return first_row, draw(st.integers(0, work.num_rows - first_row))


def _frame(draw: st.DrawFn, buffers: Buffers) -> AnyMessage:
    work = _work(draw)
    history, image = [], _tensor(draw, buffers, *work.sizes.network, 3, dtype="uint8")
    for _ in range(work.num_history):
        history.append(_tensor(draw, buffers, *work.sizes.network, 3, dtype="uint8"))
    return _plain(draw, FrameMessage, {"work": work, "image": image, "history": tuple(history)})


def _picture(draw: st.DrawFn, buffers: Buffers) -> AnyMessage:
    return _plain(draw, PictureMessage, {"image": _tensor(draw, buffers, draw(SMALL), draw(SMALL), 3, dtype="uint8")})


def _features(draw: st.DrawFn, buffers: Buffers) -> AnyMessage:
    work = _work(draw)
    first_row, rows = _some_rows(draw, work)
    made = {
        "work": work,
        "first_row": first_row,
        "maps": tuple(_tensor(draw, buffers, rows, draw(SMALL), draw(SMALL), draw(SMALL)) for _ in range(4)),
        "sentence": _tensor(draw, buffers, rows, draw(SMALL)),
    }
    return _plain(draw, FeaturesMessage, made)


def _frame_queries(draw: st.DrawFn, buffers: Buffers) -> AnyMessage:
    work, width = _work(draw), draw(SMALL)
    first_row, rows = _some_rows(draw, work)
    made = {
        "work": work,
        "first_row": first_row,
        "queries": _tensor(draw, buffers, rows, draw(SMALL), width),
        "text": _tensor(draw, buffers, rows, width),
    }
    return _plain(draw, FrameQueriesMessage, made)


def _mask_features(draw: st.DrawFn, buffers: Buffers) -> AnyMessage:
    work = _work(draw)
    first_row, count = _some_rows(draw, work)
    rows = [row for row in range(first_row, first_row + count) if draw(st.booleans())]
    made = {
        "work": work,
        "first_row": first_row,
        "rows": tuple(rows),
        "mask_features": tuple(_tensor(draw, buffers, draw(SMALL), draw(SMALL), draw(SMALL)) for _ in rows),
    }
    return _plain(draw, MaskFeaturesMessage, made)


def _video_queries(draw: st.DrawFn, buffers: Buffers) -> AnyMessage:
    prompts = tuple(draw(_unique(_struct(Prompt), Prompt)))
    count, width = draw(SMALL), draw(SMALL)
    made = {
        "prompts": prompts,
        "probability": _tensor(draw, buffers, len(prompts), count, dtype="float32"),
        "mask_embedding": _tensor(draw, buffers, len(prompts), count, width),
        "aligned": _tensor(draw, buffers, len(prompts), count, width),
    }
    return _plain(draw, VideoQueriesMessage, made)


def _masks(draw: st.DrawFn, buffers: Buffers) -> AnyMessage:
    """Layers hold any bytes: what they unpack to is not the codec's matter."""
    height, width = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    layers = []
    for _ in range(draw(st.integers(0, 3))):
        dtype, item_bytes = draw(st.sampled_from(LABEL_TYPES))
        buffer = buffers.add_bytes(draw(st.binary(min_size=1, max_size=9)))
        layers.append(LabelLayer(buffer=buffer, raw_bytes=height * width * item_bytes, dtype=dtype))
    tracks = tuple(_track(draw, buffers, len(layers)) for _ in range(draw(st.integers(0, 3))))
    made = {"size": (height, width), "layers": tuple(layers), "tracks": tracks, "target_present": bool(tracks)}
    return _plain(draw, MaskMessage, made | {"picture": _encoded(draw, buffers) if draw(st.booleans()) else UNSET})


def _encoded(draw: st.DrawFn, buffers: Buffers) -> EncodedPicture:
    """Holds any bytes: what they decode to is not the codec's matter."""
    buffer = st.just(buffers.add_bytes(draw(st.binary(max_size=9))))
    size = st.tuples(st.integers(1, 9), st.integers(1, 9))
    return cast(EncodedPicture, draw(_struct(EncodedPicture, buffer=buffer, size=size)))


def _track(draw: st.DrawFn, buffers: Buffers, layers: int) -> Track:
    label = draw(st.integers(0, 65535)) if layers else 0
    rle = buffers.add_bytes(draw(st.binary(max_size=9))) if not label or draw(st.booleans()) else None
    left, right = sorted(draw(st.tuples(st.integers(0, 100), st.integers(0, 100))))
    top, bottom = sorted(draw(st.tuples(st.integers(0, 100), st.integers(0, 100))))
    given = {
        "label": label,
        "rle": rle,
        "layer": draw(st.integers(0, max(0, layers - 1))),
        "box_xyxy": (left, top, right, bottom),
    }
    return cast(Track, draw(_struct(Track, **{name: st.just(value) for name, value in given.items()})))


WITH_BUFFERS: dict[type[Message], Callable[[st.DrawFn, Buffers], AnyMessage]] = {
    FrameMessage: _frame,
    PictureMessage: _picture,
    FeaturesMessage: _features,
    FrameQueriesMessage: _frame_queries,
    MaskFeaturesMessage: _mask_features,
    VideoQueriesMessage: _video_queries,
    MaskMessage: _masks,
}


def _with_buffers(make: Callable[[st.DrawFn, Buffers], AnyMessage]) -> st.SearchStrategy[Drawn]:
    @st.composite
    def drawn(draw: st.DrawFn) -> Drawn:
        buffers = Buffers()
        return make(draw, buffers), buffers

    return drawn()
