"""The miniature public data sets in tests/data_sets, their stored predictions and the published figures."""

import json
from pathlib import Path
from typing import Any

__all__ = ["DATA_SETS", "ROOTS", "expected"]

DATA_SETS = Path(__file__).parents[1] / "data_sets"

ROOTS = {
    "a2d-sentences": DATA_SETS / "a2d_sentences/data/a2d_sentences",
    "jhmdb-sentences": DATA_SETS / "jhmdb_sentences/data/jhmdb_sentences",
    "mevis": DATA_SETS / "mevis/data/mevis",
    "mevis-v2": DATA_SETS / "mevis_v2/data/mevis_v2",
    "ref-youtube-vos": DATA_SETS / "ref_youtube_vos/data/ref-youtube-vos",
    "ref-davis17-raw": DATA_SETS / "ref_davis17/data_raw/ref-davis",
    "ref-davis17-converted": DATA_SETS / "ref_davis17/data_converted/ref-davis",
    "refcoco": DATA_SETS / "refcoco/data",
}


def expected(protocol: str) -> Any:
    """The published figures of a protocol's folder."""
    return json.loads((DATA_SETS / protocol / "expected.json").read_text("utf-8"))
