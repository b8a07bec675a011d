"""Many sentences about how objects of one clip move, which differ in nothing but the movement they name.

`N` objects, `K` claims.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ssa_stream.data.synthetic.candidates import CROSSINGS, MOVEMENTS, some_looks
from ssa_stream.data.synthetic.grammar import sentence
from ssa_stream.data.synthetic.movements import Moving, Turns
from ssa_stream.data.synthetic.predicates import Attributes, Described, Predicate, all_of
from ssa_stream.data.synthetic.truth import UNSURE, YES, ClipTruth, Verdicts
from ssa_stream.data.synthetic.wording import Wording

__all__ = [
    "CLAIM_WEIGHTS",
    "MOVEMENT_CLAIMS",
    "MovementSentence",
    "judge_movements",
    "movement_sentences",
    "shared_looks",
]

MOVEMENT_CLAIMS: Final[tuple[Predicate, ...]] = (*CROSSINGS, *MOVEMENTS, Moving())
"""All that sentences say of one object's movement."""

_TURN_WEIGHT: Final = 0.12
CLAIM_WEIGHTS: Final[npt.NDArray[np.float32]] = np.array(
    [_TURN_WEIGHT if isinstance(claim, Turns) else 1.0 for claim in MOVEMENT_CLAIMS], np.float32
)
"""How much each claim counts, `(K,)`: the many turns from one direction to another are seldom true."""

_TRUE_SHARE: Final = 2 / 3
_NO_LOOKS: Final = 0.5


@dataclass(frozen=True, slots=True)
class MovementSentence:
    """A sentence about the movement of all objects with some looks.

    Attributes:
        text: The sentence.
        claim: Number of the movement in `MOVEMENT_CLAIMS`.
        plural: Whether it speaks of several objects.
    """

    text: str
    claim: int
    plural: bool

    def fits(self, verdicts: Verdicts) -> bool:
        """Whether its truth is clear and its number right: a plural means several objects, or none.

        Args:
            verdicts: Which objects do it and look so, `(N,)`.
        """
        count = np.count_nonzero(verdicts == YES)
        return bool(not (verdicts == UNSURE).any() and (count == 0 or self.plural == (count > 1)))


def judge_movements(truth: ClipTruth) -> Verdicts:
    """Judge which object does what, `(K, N)`."""
    return np.stack([claim.judge(truth) for claim in MOVEMENT_CLAIMS])


def shared_looks(truth: ClipTruth, rng: np.random.Generator) -> Attributes:
    """Choose looks for sentences to share: none in half of the cases, else some of a present object's."""
    present = np.flatnonzero(truth.presence == YES)
    if not len(present) or rng.uniform() < _NO_LOOKS:
        return Attributes()
    return some_looks(truth, rng, int(rng.choice(present)), fewest=1)


def movement_sentences(
    truth: ClipTruth, looks: Attributes, rng: np.random.Generator, count: int, others: Sequence[ClipTruth] = ()
) -> list[MovementSentence]:
    """Make sentences about a clip, which may be played backwards too.

    Two thirds say what some object does, in one direction of play or the other or in the other clips, as far as there
    is so much to say.

    Args:
        truth: What the clip shows.
        looks: What they all say of looks.
        rng: Source of chance.
        count: How many sentences, with distinct movements.
        others: The same objects moving otherwise.
    """
    verdicts = []
    for played in (truth, truth.window(0, truth.poses.shape[1], backwards=True), *others):
        looking = looks.judge(played)
        verdicts.append([all_of([looking, claim]) for claim in judge_movements(played)])
    doing = (np.array(verdicts) == YES).sum(axis=2).max(axis=0)  # (K,)
    shuffled = np.argsort(rng.exponential(size=len(CLAIM_WEIGHTS)) / CLAIM_WEIGHTS)
    true = [int(claim) for claim in shuffled if doing[claim]][: round(_TRUE_SHARE * count)]
    absent = [int(claim) for claim in shuffled if not doing[claim]][: count - len(true)]
    wording = Wording(rng, "trained")
    sentences = []
    for claim in (*true, *absent):
        plural = bool(doing[claim] > 1 or (doing[claim] == 0 and rng.uniform() < 0.3))
        text = sentence(Described(looks, (MOVEMENT_CLAIMS[claim],)), wording, count=0 if plural else 1)
        sentences.append(MovementSentence(text, claim, plural))
    return sentences
