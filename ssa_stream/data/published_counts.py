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
_TFDS: Final = "TensorFlow Datasets, catalog page gref"
_CARDS: Final = "data set cards jxu124/refcoco and jxu124/refcocoplus"
_BENCHMARK: Final = "data set card jxu124/refcoco-benchmark (rounded to tens there)"
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


def _numbers(what: str, rows: str, source: str) -> tuple[PublishedCount, ...]:
    """Of rows: split, number."""
    return tuple(PublishedCount(split, what, int(number), source) for split, number in map(str.split, rows.split(";")))


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
        *_numbers("objects", "train 42404; val 3811; testA 1975; testB 1810", _CARDS),
        *_numbers("videos", "val 1500; testA 750; testB 750", _BENCHMARK),
        *_numbers("sentences", "train 120624; val 10834; testA 5657; testB 5095", _FLAG_EVAL),
    ),
    "refcoco+": (
        *_numbers("objects", "train 42278; val 3805; testA 1975; testB 1798", _CARDS),
        *_numbers("videos", "val 1500; testA 750; testB 750", _BENCHMARK),
        PublishedCount("val+testA+testB", "sentences", 21373, _REF_L4),
    ),
    "refcocog": (
        *_numbers("videos", "val 1300; test 2600", _BENCHMARK),
        *_numbers("videos", "google-train 24698; google-val 4650", _TFDS),
        PublishedCount("val+test", "sentences", 14498, _REF_L4),
    ),
}
