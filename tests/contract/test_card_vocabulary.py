"""What ssa-tiny says that it knows is what the generator of its training can say."""

import numpy as np

from ssa_stream.data import sample_captioned_picture, sample_scene
from ssa_stream.data.synthetic.expressions import expressions
from ssa_stream.data.synthetic.vocabulary import known_words
from ssa_stream.knowledge import knowledge_of
from tools.card_vocabulary import FOLDER, card_with, knowledge_of_generator


def test_file_and_card_are_as_the_tool_writes_them() -> None:
    """`python -m tools.card_vocabulary` would change nothing."""
    knowledge = knowledge_of_generator()
    assert (FOLDER / "ssa-tiny.json").read_text(encoding="utf-8") == knowledge.to_json(indent=1) + "\n"
    card = (FOLDER / "ssa-tiny.md").read_text(encoding="utf-8")
    assert card_with(knowledge, card) == card
    assert knowledge_of("ssa-tiny") == knowledge


def test_more_tries_find_no_more_words() -> None:
    """The words are all that there are, not those of a lucky seed."""
    assert known_words(seed=1, times=80) == known_words()


def test_sentences_and_captions_of_training_have_known_words_only() -> None:
    """Those of scenes, not only those that the vocabulary was made of."""
    known, said = knowledge_of("ssa-tiny"), set[str]()
    for seed in range(12):
        rng = np.random.default_rng(seed)
        said |= {one.text for one in expressions(sample_scene(seed, split="train"), 0, 8, rng, per_type=3)}
        said |= {one.caption for one in sample_captioned_picture(seed).objects}
    assert len(said) > 100
    assert {text: words for text in said if (words := known.unknown_words(text))} == {}
