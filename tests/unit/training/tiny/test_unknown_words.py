"""Unknown words: where they stand, which are never drawn, and that the text tower learns to pass over them."""

import copy

import msgspec
import numpy as np
import pytest
import torch

from ssa_stream.data import HELD_OUT_PHRASES
from ssa_stream.errors import ConfigError
from ssa_stream.model import SSA
from ssa_stream.model.clip import encode_text, tokenize
from ssa_stream.training.config import OptimizerConfig, ValidationConfig
from ssa_stream.training.loop.stage_runner import StageContext
from ssa_stream.training.recipe import prepare_stage
from ssa_stream.training.tiny.clip.text import TEXT_PARTS, TextBatch, TextBatches, TextObjective
from ssa_stream.training.tiny.clip.unknown_words import with_unknown_words
from ssa_stream.training.tiny.config import ClipTextStage

STAGE = ClipTextStage(name="words", steps=4, batch=6, scenes=4, optimizer=OptimizerConfig(lr=1e-3))
SENTENCE = "the small red star that moves to the left and then stops"


def _drawn(count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    tokens = tokenize([SENTENCE] * count, 77)
    return tokens, *with_unknown_words(tokens, np.random.default_rng(0))


def test_each_position_stands_for_one_of_the_sentence() -> None:
    """In order, all of them, the end last; what is no unknown word is what it stands for."""
    tokens, unknown, source = _drawn(200)
    length = int((tokens[0] != 0).sum())
    longer = 0
    for row, of in zip(unknown, source, strict=True):
        ends = int(row.argmax())
        assert row[0] == tokens[0, 0]
        assert row[ends] == 49407
        assert not row[ends + 1 :].any()
        assert sorted(of[: ends + 1].tolist()) == of[: ends + 1].tolist()
        assert set(of[: ends + 1].tolist()) == set(range(length))
        assert (of < 77).all()
        longer += ends + 1 > length
    assert 0.8 * 200 < longer < 200


def test_words_that_mean_something_stay() -> None:
    """Whatever is put in between; words of little meaning are replaced now and then."""
    tokens, unknown, source = _drawn(200)
    same = unknown == tokens.gather(1, source)
    heavy = {int(tokenize([word], 77)[0, 1]) for word in ("small", "red", "star", "moves", "left", "stops")}
    replaced = 0
    for row, of, equal in zip(tokens, source, same, strict=True):
        for position in range(int(row.argmax()) + 1):
            kept = bool(equal[of == position].any())
            assert kept or int(row[position]) not in heavy
            replaced += not kept
    assert replaced > 20


def test_kept_back_phrases_are_not_drawn() -> None:
    """No token of them, among thousands."""
    tokens, unknown, source = _drawn(2000)
    drawn = set(unknown[unknown != tokens.gather(1, source)].tolist())
    assert len(drawn) > 2000
    assert not drawn & set(tokenize(HELD_OUT_PHRASES, 77).flatten().tolist())


def test_full_sentences_stay_within_their_length() -> None:
    """There is no room for more."""
    tokens = tokenize(["star " * 100, "the " * 70], 77)
    unknown, _ = with_unknown_words(tokens, np.random.default_rng(0))
    assert torch.equal(unknown[0], tokens[0])
    assert unknown.shape == tokens.shape
    assert (unknown[1] == 49407).sum() == 1


def test_batches_are_functions_of_their_number() -> None:
    """A resumed run and another device see theirs."""
    first, again = (TextBatches(4, 8, 5, 0, 77, 0) for _ in range(2))
    assert len(first) == 8
    assert first[0].tokens.shape == (5, 77)
    for ours, theirs in zip(first[3], again[3], strict=True):
        assert torch.equal(ours, theirs)
    assert not torch.equal(first[3].with_unknown, first[4].with_unknown)
    assert not torch.equal(first[3].with_unknown, TextBatches(4, 8, 5, 0, 77, 1)[3].with_unknown)


@pytest.mark.slow
def test_only_the_text_tower_learns_and_keeps_what_it_said(model: SSA) -> None:
    """Unknown words move sentences less and less; without them they stay nearly where they were."""
    clip = copy.deepcopy(model.clip)
    objective = TextObjective(clip, 40)
    batches = TextBatches(8, 80, 16, 0, clip.context_length, 0)
    optimizer = torch.optim.Adam([p for p in objective.parameters() if p.requires_grad], 3e-4)
    history = []
    for step in range(80):
        loss = objective(batches[step])
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
        history.append(dict(zip(TEXT_PARTS, loss.parts.tolist(), strict=True)))
    assert history[0]["kept_words"] < 1e-9
    first, last = (sum(parts["unknown_sentence"] for parts in some) for some in (history[:10], history[-10:]))
    assert last < 0.8 * first
    assert history[-1]["kept_sentence"] < 0.5 * history[-1]["unknown_sentence"]
    before = model.clip.state_dict()
    changed = {name for name, value in clip.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert not [name for name in changed if name.startswith("visual") or name == "logit_scale"]


def test_a_stage_judges_kept_back_phrases(model: SSA) -> None:
    """Distance to what is meant, and how often that is the nearest sentence."""
    runner = prepare_stage(STAGE, StageContext(model, ValidationConfig(every=1, clips=12)))
    validation = runner.validate(torch.device("cpu"))
    assert 0 <= validation.figures["found"] <= 1
    assert validation.figures["distance"] > 0
    tokens = runner.batches()[0].tokens
    before = encode_text(model.clip, tokens, 4).sentence
    optimizer = runner.optimizer(fused=False)
    for step in range(2):
        runner.objective(runner.batches()[step]).total.backward()
        optimizer.step()
    assert not torch.equal(encode_text(model.clip, tokens, 4).sentence, before)


def test_settings_that_cannot_work_are_refused(model: SSA) -> None:
    """With what would; devices get equal shares, as anywhere."""
    with pytest.raises(ValueError, match="scenes is 0"):
        msgspec.structs.replace(STAGE, scenes=0)
    validation = ValidationConfig(every=1, clips=12)
    assert len(prepare_stage(STAGE, StageContext(model, validation, rank=1, world_size=3)).batches()[0].tokens) == 2
    with pytest.raises(ConfigError, match="batch 6 cannot be shared by 4 devices"):
        prepare_stage(STAGE, StageContext(model, validation, world_size=4)).batches()


def test_one_sentence_is_enough_for_a_loss(model: SSA) -> None:
    """Also the same one twice."""
    objective = TextObjective(copy.deepcopy(model.clip), 40)
    once = TextBatches(4, 8, 1, 0, 77, 0)[0]
    twice = TextBatch(*(field.repeat(2, 1) for field in once))
    parts = [objective(batch).parts for batch in (once, twice)]
    assert parts[0].isfinite().all()
    torch.testing.assert_close(*parts)
