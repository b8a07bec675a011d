"""How large the public data sets are, as far as a source can be named: what `data check` compares with.

A count that differs is worth a look (a download that is cut off, another release), and no error.
"""

from typing import Final, NamedTuple

__all__ = ["ALL_SPLITS", "PUBLISHED", "PublishedCount"]

ALL_SPLITS: Final = "all"
"""In place of a split: all splits together."""

_MTTR: Final = "mttr2021/MTTR, asserted by its readers"
_MTTR_LIST: Final = "mttr2021/MTTR, jhmdb_sentences_samples_metadata.json"
_MEVIS: Final = "henghuiding/MeViS, README"
_URVOS: Final = "Seo et al., URVOS, ECCV 2020"
_DAVIS: Final = "Khoreva et al., ACCV 2018"
_TFDS: Final = "TensorFlow Datasets, catalog page ref_coco (from the same refs)"
_FLAG_EVAL: Final = "FlagEval, page RefCOCO"
_REF_L4: Final = "JierunChen/Ref-L4, README"


class PublishedCount(NamedTuple):
    """A count of a data set.

    Attributes:
        split: Its name, several joined with `+`, or `ALL_SPLITS`.
        what: A count of `SplitCheck`; or `listed_videos` or `listed_sentences`, which readers have that leave entries
            out.
        number: The published one.
        source: Where it is published.
    """

    split: str
    what: str
    number: int
    source: str


def _refcoco(rows: str) -> tuple[PublishedCount, ...]:
    """Of lines: split, referred objects, pictures."""
    counts = []
    for row in rows.split(";"):
        split, objects, videos = row.split()
        counts.append(PublishedCount(split, "objects", int(objects), _TFDS))
        counts.append(PublishedCount(split, "videos", int(videos), _TFDS))
    return tuple(counts)


def _mevis(rows: str) -> tuple[PublishedCount, ...]:
    """Of lines: split, videos, sentences."""
    counts = []
    for row in rows.split(";"):
        split, videos, sentences = row.split()
        counts.append(PublishedCount(split, "videos", int(videos), _MEVIS))
        counts.append(PublishedCount(split, "sentences", int(sentences), _MEVIS))
    return tuple(counts)


PUBLISHED: Final[dict[str, tuple[PublishedCount, ...]]] = {
    "a2d-sentences": (
        PublishedCount(ALL_SPLITS, "listed_videos", 3782, _MTTR),
        PublishedCount(ALL_SPLITS, "listed_sentences", 6655, _MTTR),
    ),
    "jhmdb-sentences": (
        PublishedCount("test", "videos", 928, _MTTR_LIST),
        PublishedCount("test", "sentences", 928, _MTTR_LIST),
        PublishedCount("test", "samples", 2784, _MTTR_LIST),
    ),
    "mevis": _mevis("train 1662 23051; valid_u 50 793; valid 140 2236"),
    "mevis version 2": _mevis("train 1662 27502; valid_u 50 907; valid 140 2523"),
    "ref-youtube-vos": (
        PublishedCount("train", "videos", 3471, _MTTR),
        PublishedCount("train", "sentences", 12913, _URVOS),
        PublishedCount("train", "objects", 6388, _URVOS),
        PublishedCount("valid", "videos", 202, _MTTR),
    ),
    "ref-davis17": (
        PublishedCount("train", "videos", 60, _DAVIS),
        PublishedCount("valid", "videos", 30, _DAVIS),
        PublishedCount(ALL_SPLITS, "objects", 205, f"{_MEVIS}, table 1"),
    ),
    "refcoco": (
        *_refcoco("train 42404 16994; val 3811 1500; testA 1975 750; testB 1810 750"),
        *_refcoco("google-train 40000 19213; google-val 5000 4559; google-test 5000 4527"),
        PublishedCount("train", "sentences", 120624, _FLAG_EVAL),
        PublishedCount("val", "sentences", 10834, _FLAG_EVAL),
        PublishedCount("testA", "sentences", 5657, _FLAG_EVAL),
        PublishedCount("testB", "sentences", 5095, _FLAG_EVAL),
    ),
    "refcoco+": (
        *_refcoco("train 42278 16992; val 3805 1500; testA 1975 750; testB 1798 750"),
        PublishedCount("val+testA+testB", "sentences", 21373, _REF_L4),
    ),
    "refcocog": (
        *_refcoco("train 42226 21899; val 2573 1300; test 5023 2600; google-train 44822 24698; google-val 5000 4650"),
        PublishedCount("val+test", "sentences", 14498, _REF_L4),
    ),
}
