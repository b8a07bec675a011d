"""Sentences, pictures and objects of RefCOCO from any of the files in which they come.

The same samples in the same order with the same ids come out of each: those of the files `instances_<set>_<split>.json`
that ReferFormer's converter writes from the refs, as results are stored under these ids.

Source: wjn922/ReferFormer, tools/data/convert_refexp_to_coco.py and datasets/refer.py @ 06fc218 (order, ids, which refs
a split has).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple, TypeVar

import msgspec

from ssa_stream.data.plain_pickle import read_plain_pickle
from ssa_stream.data.reading import is_file_name
from ssa_stream.errors import ConfigError
from ssa_stream.files import read_limited
from ssa_stream.texts import brief, unencodable

__all__ = ["CocoObject", "Sample", "read_categories", "read_samples"]

_MOST_JSON_BYTES: Final = 2 * 2**30
_MOST_REFS_BYTES: Final = 256 * 2**20
_MOST_SENTENCES: Final = 2_000_000
_MOST_CHARACTERS: Final = 1000
"""Of a sentence, as in a message."""
_GOOGLE: Final = "google-"
_SPLITTERS: Final = {"refcoco": "unc", "refcoco+": "unc", "refcocog": "umd"}
"""Who made the splits that have no prefix."""
_NOTHING: Final = msgspec.Raw(b"null")
_Id = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_Content = TypeVar("_Content")


@dataclass(frozen=True, slots=True)
class CocoObject:
    """One object of a picture.

    Attributes:
        annotation_id: In COCO.
        box_xywh: Left, top, width and height in pixels.
        area: As the file gives it: of the polygons, in square pixels, not a number of pixels.
        is_crowd: Whether it is a group of objects that are not told apart.
        segmentation: JSON of its polygons or run lengths; None if the file has none.
    """

    annotation_id: int
    box_xywh: tuple[float, float, float, float]
    area: float
    is_crowd: bool
    segmentation: bytes | None


@dataclass(frozen=True, slots=True)
class Sample:
    """One sentence about one object of one picture.

    Attributes:
        sample_id: As in results, from 1 on in each split.
        file_name: Of the picture.
        size: Its height and width; None if no file tells.
        text: The sentence.
        annotation_id: Of its object.
        target: The object; None if no file has it.
    """

    sample_id: int
    file_name: str
    size: tuple[int, int] | None
    text: str
    annotation_id: int
    target: CocoObject | None


class _Image(msgspec.Struct):
    id: _Id
    file_name: str
    height: int
    width: int
    caption: str | None = None


class _Annotation(msgspec.Struct):
    id: _Id
    image_id: _Id
    bbox: tuple[float, float, float, float]
    area: float = 0.0
    iscrowd: int = 0
    segmentation: msgspec.Raw = _NOTHING
    original_id: _Id | None = None


class _Instances(msgspec.Struct):
    images: list[_Image]
    annotations: list[_Annotation]


class _Category(msgspec.Struct):
    id: int


class _Categories(msgspec.Struct):
    categories: list[_Category]


class _Sentence(msgspec.Struct):
    sent: str


class _Ref(msgspec.Struct):
    ref_id: _Id
    ann_id: _Id
    image_id: _Id
    split: str
    sentences: list[Any]


class _Instance(NamedTuple):
    """What `instances.json` holds, by id, as far as it was asked for."""

    images: dict[int, _Image]
    objects: dict[int, CocoObject]


def read_samples(kind: str, root: Path, split: str) -> tuple[Path, list[Sample]]:
    """Read one split from the first of these that is there: ReferFormer's JSON file, the refs, MDETR's JSON file.

    Args:
        kind: `refcoco`, `refcoco+` or `refcocog`.
        root: Holds `coco/`, and `mdetr_annotations/` if MDETR's files are to be found.
        split: `google-` before its name means the splits of refs(google).p.
    Returns:
        The file that the sentences are from, and the samples by their ids, ascending.
    Raises:
        ConfigError: None of them is there, or one of those that are read is broken.
    """
    folder = root / "coco" / kind
    splitter = "google" if split.startswith(_GOOGLE) else _SPLITTERS[kind]
    name = split.removeprefix(_GOOGLE)
    refs = folder / f"refs({splitter}).p"
    readers: list[tuple[Path, Callable[[Path], list[Sample]]]] = [
        (refs, lambda path: _from_refs(path, folder / "instances.json", name)),
    ]
    if splitter != "google":
        converted = folder / f"instances_{kind}_{name}.json"
        mdetr = root / "mdetr_annotations" / f"finetune_{kind}_{name}.json"
        readers.insert(0, (converted, _from_converted))
        readers.append((mdetr, lambda path: _from_mdetr(path, folder / "instances.json")))
    for path, reader in readers:
        if path.is_file():
            return path, reader(path)
    raise _missing(kind, root, split, [path for path, _ in readers])


def read_categories(path: Path) -> tuple[int, ...]:
    """Ids of the categories that an annotation file lists, ascending.

    Raises:
        ConfigError: The file is missing or broken, or lists none.
    """
    found = sorted({category.id for category in _read_json(path, _Categories).categories})
    if not found:
        raise ConfigError(f"{path} lists no categories; expected COCO's")
    return tuple(found)


def _missing(kind: str, root: Path, split: str, looked_for: Sequence[Path]) -> ConfigError:
    hint = ""
    if not (root / "coco").is_dir() and (root / kind).is_dir():
        hint = f". {root} looks like the folder coco itself: give the folder that holds it"
    others = sorted(path.name for path in (root / "coco" / kind).glob("refs(*).p"))
    if others and not hint:
        hint = f". {', '.join(others)} is there, which has other splits"
    names = ", ".join(str(path.relative_to(root)) for path in looked_for)
    error = ConfigError(f"{root} has no file of the split {split} of {kind}; expected one of {names}{hint}")
    error.__cause__ = FileNotFoundError(str(looked_for[0]))
    return error


def _from_converted(path: Path) -> list[Sample]:
    """ReferFormer's file: an image and an annotation a sentence."""
    content = _read_json(path, _Instances)
    return _paired(path, content, {image.id: image.id for image in content.images}, {})


def _from_mdetr(path: Path, instances: Path) -> list[Sample]:
    """MDETR's file: the same sentences in the same order; its ids run on from file to file and masks are elsewhere."""
    content = _read_json(path, _Instances)
    wanted = {one.original_id for one in content.annotations if one.original_id is not None}
    objects = _read_instances(instances, wanted, set()).objects if instances.is_file() else {}
    ids = sorted(image.id for image in content.images)
    return _paired(path, content, {image_id: number for number, image_id in enumerate(ids, start=1)}, objects)


def _paired(path: Path, content: _Instances, ids: dict[int, int], others: dict[int, CocoObject]) -> list[Sample]:
    """Images with the one annotation of each.

    Args:
        path: The file, for messages.
        content: Of it.
        ids: Sample ids by image id.
        others: Objects of `instances.json`, for annotations without a segmentation.
    """
    by_image: dict[int, _Annotation] = {}
    for annotation in content.annotations:
        if by_image.setdefault(annotation.image_id, annotation) is not annotation:
            raise ConfigError(f"{path}: image {annotation.image_id} has two annotations; expected one a sentence")
    if len(ids) < len(content.images):
        raise ConfigError(f"{path}: {len(content.images) - len(ids)} ids of images come twice; expected one a sentence")
    known: dict[bytes, bytes] = {}
    samples = []
    for image in sorted(content.images, key=lambda image: image.id):
        found = by_image.get(image.id)
        target, annotation_id = None, -1
        if found is not None:
            annotation_id = found.id if found.original_id is None else found.original_id
            target = _object(found, annotation_id, known)
            if target.segmentation is None:
                target = others.get(annotation_id, target)
        sentence = _sentence(path, image.caption, f"image {image.id}")
        _check_image(path, image)
        samples.append(
            Sample(ids[image.id], image.file_name, (image.height, image.width), sentence, annotation_id, target)
        )
    return samples


def _from_refs(path: Path, instances: Path, split: str) -> list[Sample]:
    """The refs of a split in the file's order, and each one's sentences."""
    refs = _read_refs(path)
    by_id = {ref.ref_id: ref for ref in refs}  # of two with one id the last counts, as in the converter
    chosen = [by_id[ref.ref_id] for ref in refs if _is_of(ref.split, split)]
    known = _read_instances(instances, {ref.ann_id for ref in chosen}, {ref.image_id for ref in chosen})
    samples: list[Sample] = []
    for ref in chosen:
        image = known.images.get(ref.image_id)
        # The refs have names with a number at the end, which are no files.
        file_name = f"COCO_train2014_{ref.image_id:012d}.jpg" if image is None else image.file_name
        size = None if image is None else (image.height, image.width)
        target = known.objects.get(ref.ann_id)
        for value in ref.sentences:
            sentence = _convert(path, value, _Sentence, f"ref {ref.ref_id}: ")
            text = _sentence(path, sentence.sent, f"ref {ref.ref_id}")
            samples.append(Sample(len(samples) + 1, file_name, size, text, ref.ann_id, target))
    return samples


def _is_of(found: str, split: str) -> bool:
    """Whether a ref is of a split: `testAB` is of testA and of testB, and `test` has all three."""
    if split in ("testA", "testB"):
        return split[-1] in found
    return split in found if split == "test" else found == split


def _read_refs(path: Path) -> list[_Ref]:
    content = read_plain_pickle(path, most_bytes=_MOST_REFS_BYTES)
    refs = _convert(path, content, list[_Ref])
    if not refs:
        raise ConfigError(f"{path} holds no refs: it is empty or broken; take it from the data set's own archive")
    # Counted before they are looked at: a pickle can hold one list a million times.
    if (total := sum(len(ref.sentences) for ref in refs)) > _MOST_SENTENCES:
        raise ConfigError(f"{path} has {total:,} sentences; expected at most {_MOST_SENTENCES:,}")
    return refs


def _read_instances(path: Path, annotation_ids: set[int], image_ids: set[int]) -> _Instance:
    """Read of `instances.json` what was asked for; of two entries with one id the last counts."""
    content = _read_json(path, _Instances)
    known: dict[bytes, bytes] = {}
    objects = {one.id: _object(one, one.id, known) for one in content.annotations if one.id in annotation_ids}
    images = {image.id: image for image in content.images if image.id in image_ids}
    for image in images.values():
        _check_image(path, image)
    return _Instance(images, objects)


def _object(annotation: _Annotation, annotation_id: int, known: dict[bytes, bytes]) -> CocoObject:
    # A copy: as a part of the file it would keep all of the file in memory. Equal ones are kept once.
    raw = bytes(annotation.segmentation)
    segmentation = None if raw == bytes(_NOTHING) else known.setdefault(raw, raw)
    return CocoObject(annotation_id, annotation.bbox, annotation.area, annotation.iscrowd != 0, segmentation)


def _check_image(path: Path, image: _Image) -> None:
    if not is_file_name(image.file_name):
        raise ConfigError(f"{path}: image {image.id} has the file name {brief(image.file_name)}; expected one")
    if image.height < 1 or image.width < 1:
        raise ConfigError(f"{path}: image {image.id} has {image.width}x{image.height} pixels; expected at least 1x1")


def _sentence(path: Path, text: str | None, where: str) -> str:
    if text is None:
        raise ConfigError(f"{path}: {where} has no caption; expected a sentence")
    if len(text) > _MOST_CHARACTERS or unencodable(text) is not None:
        raise ConfigError(
            f"{path}: {where} has the sentence {brief(text)}; expected at most {_MOST_CHARACTERS} characters of UTF-8"
        )
    return text.lower()


def _read_json(path: Path, content_type: type[_Content]) -> _Content:
    """Read the fields of a type; others are skipped, so that files of hundreds of megabytes stay small in memory."""
    try:
        return msgspec.json.decode(read_limited(path, most_bytes=_MOST_JSON_BYTES), type=content_type)
    except FileNotFoundError as error:
        raise ConfigError(f"{path} is missing; expected that of the data set's archive") from error
    except (OSError, msgspec.DecodeError, RecursionError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}; expected a COCO annotation file") from error


def _convert(path: Path, value: object, content_type: type[_Content], where: str = "") -> _Content:
    try:
        return msgspec.convert(value, content_type)
    except (msgspec.ValidationError, RecursionError, UnicodeEncodeError, OverflowError) as error:
        raise ConfigError(f"{path}: {where}{error}; expected refs as REFER reads them") from error
