"""Sentences: descriptions of one or several objects put into words."""

from typing import Final

from ssa_stream.data.synthetic.clauses import Clause, clause
from ssa_stream.data.synthetic.predicates import Described, Either
from ssa_stream.data.synthetic.relations import Extreme
from ssa_stream.data.synthetic.wording import Wording, noun_phrase, with_article

__all__ = ["sentence"]

_NUMBERS: Final = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}
_EXTREME_WORDS: Final = {
    "biggest": ("biggest", "largest"),
    "smallest": ("smallest",),
    "leftmost": ("leftmost",),
    "rightmost": ("rightmost",),
    "topmost": ("topmost", "highest"),
    "bottommost": ("bottommost", "lowest"),
    "fastest": ("fastest", "fastest-moving"),
}


def sentence(described: Described | Either, wording: Wording, *, count: int = 1) -> str:
    """Put a description into words.

    Args:
        described: What is said.
        wording: Chooses the words and the order.
        count: How many objects are meant; more than one gives a plural, 0 means "all such".
    """
    if isinstance(described, Either):
        return f"{sentence(described.first, _plainly(wording))} and {sentence(described.second, _plainly(wording))}"
    plural = count != 1
    extreme = next((claim for claim in described.claims if isinstance(claim, Extreme)), None)
    clauses = [clause(c, wording, plural=plural) for c in described.claims if not isinstance(c, Extreme)]
    bare = noun_phrase(described.attributes, wording, plural=plural)
    if extreme is not None:
        subject = f"the {wording.pick(_EXTREME_WORDS[extreme.kind])} {bare}"
    elif plural:
        subject = _plural_subject(bare, wording, count)
    else:
        subject = with_article(bare, wording)
    if not clauses:
        return f"find {subject}" if wording.pick(("",), ("find",)) else subject
    return _with_clauses(subject, clauses, wording, plural=plural)


def _plainly(wording: Wording) -> Wording:
    """Give a wording for one half of a pair, without its own sentence form."""
    return Wording(wording.rng)


def _plural_subject(bare: str, wording: Wording, count: int) -> str:
    forms = [f"all {bare}", f"all the {bare}", f"the {bare}"]
    if count in _NUMBERS:
        forms += [f"the {_NUMBERS[count]} {bare}"]
    if count == 2:
        forms += [f"both {bare}"]
    return wording.pick(forms, (f"every one of the {bare}",))


def _with_clauses(subject: str, clauses: list[Clause], wording: Wording, *, plural: bool) -> str:
    participle = " and ".join(part.participle for part in clauses)
    finite = " and ".join(part.finite for part in clauses)
    common = [
        f"{subject} {participle}",
        f"{subject} {participle}",
        f"{subject} that {finite}",
        f"{subject} which {finite}",
        f"{subject} {finite}",
    ]
    held_out = [f"find {subject} that {finite}"]
    if not plural:
        held_out.append(f"{subject}, namely the one {participle}")
    return wording.pick(common, held_out)
