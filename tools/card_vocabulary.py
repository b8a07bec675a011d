"""Write what ssa-tiny knows: the file beside its weights, and the words in its card. The generator has them.

python -m tools.card_vocabulary
"""

import textwrap
from pathlib import Path

from ssa_stream.data import DEMO_SENTENCES
from ssa_stream.data.synthetic.vocabulary import known_words
from ssa_stream.knowledge import Knowledge

__all__ = ["FOLDER", "card_with", "knowledge_of_generator"]

FOLDER = Path(__file__).parents[1] / "ssa_stream" / "checkpoints" / "weights"
_NAME = "ssa-tiny"
_EXAMPLES = 3
BEGIN, END = "<!-- words: tools/card_vocabulary.py -->\n", "<!-- end of words -->\n"


def main() -> None:
    """Write both files."""
    knowledge = knowledge_of_generator()
    (FOLDER / f"{_NAME}.json").write_text(knowledge.to_json(indent=1) + "\n", encoding="utf-8")
    card = FOLDER / f"{_NAME}.md"
    card.write_text(card_with(knowledge, card.read_text(encoding="utf-8")), encoding="utf-8")


def knowledge_of_generator() -> Knowledge:
    """What a network knows that was trained on sentences and captions of the generator."""
    return Knowledge(_NAME, "drawn shapes", known_words(), DEMO_SENTENCES[:_EXAMPLES])


def card_with(knowledge: Knowledge, card: str) -> str:
    """A card with the words between its two marks replaced.

    Raises:
        SystemExit: It lacks the marks.
    """
    before, mark, rest = card.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (mark and end):
        raise SystemExit(f"error: the card has no place for words; expected the lines {BEGIN!r} and {END!r}")
    words = sorted(knowledge.words or ())
    listed = textwrap.fill(", ".join(words) + ".", 120, break_on_hyphens=False)
    examples = "\n".join(f"- {example}" for example in knowledge.examples)
    inside = f"\nSentences to try:\n\n{examples}\n\nAll {len(words)} words:\n\n{listed}\n\n"
    return f"{before}{BEGIN}{inside}{END}{after}"


if __name__ == "__main__":
    main()
