"""Whole comparisons of tiny models: no change, a planted change, a kill, unlike models."""

import copy
import json

import diff_kit
import persona_kit
import pytest
import torch

from mindscope.diffing import DiffInputs, HarmlessTune, ModelDifference, compare_models, difference_report
from mindscope.diffing.claims.candidates import word_candidate
from mindscope.diffing.claims.pushing import DirectionPusher, PushDirection
from mindscope.diffing.claims.verify import ClaimTester
from mindscope.diffing.observing import ObservedModel, split_prompts
from mindscope.errors import DataError, StoreError
from mindscope.models import Model, load
from mindscope.store import Run

CONFIG = diff_kit.CONFIG.model_copy(update={"max_new_tokens": 2})


@pytest.fixture(autouse=True)
def _few_strengths(monkeypatch):
    monkeypatch.setattr("mindscope.diffing.claims.pushing.STRENGTHS", (0.25, 1.0))


def compare(base, tuned, folder, config=CONFIG, **inputs) -> ModelDifference:
    given = DiffInputs(diff_kit.prompts(), **inputs)
    with Run.open(folder, kind="diff", config={}) as run:
        return compare_models(base, tuned, given, config, run=run)


@pytest.fixture(scope="module")
def planted(tiny) -> Model:
    """Says `q` wherever it can."""
    token = tiny.tokenizer.encode("q", add_special_tokens=False)[0]
    return diff_kit.with_offset(tiny, 1, 6 * tiny.hf.lm_head.weight[token].detach())


def test_the_same_weights_are_one_line(tiny, tmp_path):
    result = compare(tiny, tiny, tmp_path / "run")
    assert result.notes == ("both models have the same weights: nothing differs",)
    assert not result.claims
    assert ModelDifference.load(tmp_path / "run/diff.json") == result
    half = Model.wrap(tiny.hf.__class__(tiny.hf.config), tiny.tokenizer, name="half")
    half.hf.load_state_dict(tiny.hf.state_dict())
    result = compare(tiny, Model.wrap(half.hf.bfloat16(), tiny.tokenizer, name="half"), tmp_path / "half")
    assert "another precision" in result.notes[0] or "same weights" in result.notes[0]
    assert not result.claims


def test_a_comparison_has_all_its_parts_and_goes_on_to_the_same_bytes(tiny, planted, tmp_path):
    nulls = [HarmlessTune(diff_kit.noisy(tiny, seed, name=f"null {seed}")) for seed in (1, 2)]
    data = tmp_path / "data.jsonl"
    data.write_text(
        "".join(json.dumps({"prompt": f"Ask {i}", "response": "q" * (i % 4)}) + "\n" for i in range(8))
    )
    result = compare(tiny, planted, tmp_path / "run", nulls=nulls, data=data)
    assert (result.n_discovery, result.n_held_out) == (20, 20)
    assert result.distributions is not None
    assert result.distributions.kl.low > 0
    assert [null.model for null in result.nulls] == ["null 1", "null 2"]
    assert result.null_rate is not None
    assert result.null_rate.n == sum(len(null.claims) for null in result.nulls)
    for claim in result.claims:
        assert claim.verified == all(check.passed for check in claim.checks)
        assert sum(check.name == "beyond the null" for check in claim.checks) == 2
    assert all(part.samples for part in result.slices)
    html = difference_report(result).html()
    assert "Claims" in html
    assert "The null: null 2" in html
    written = (tmp_path / "run/diff.json").read_bytes()
    # A run that was killed lacks answers; what it makes again is the same.
    for piece in (tmp_path / "run").rglob("0000.json"):
        piece.unlink()
    (tmp_path / "run/diff.json").unlink()
    assert compare(tiny, planted, tmp_path / "run", nulls=nulls, data=data) == result
    assert (tmp_path / "run/diff.json").read_bytes() == written
    with pytest.raises(StoreError, match="another nulls"):
        compare(tiny, planted, tmp_path / "run")


def test_another_tokenizer_leaves_the_answers(tiny, planted, tmp_path):
    tokenizer = load("organism").tokenizer
    hf = copy.deepcopy(planted.hf)
    hf.resize_token_embeddings(len(tokenizer))
    other = Model.wrap(hf, tokenizer, name="other")
    result = compare(tiny, other, tmp_path / "run")
    assert {one.rung for one in result.skipped} >= {"distributions", "lens", "traits", "latents"}
    assert "different tokens" in result.skipped[0].reason
    assert result.outputs is not None
    assert result.distributions is None
    assert not any(claim.verified for claim in result.claims)


def test_another_width_keeps_the_distributions(tiny, tmp_path):
    wide = load(str(persona_kit.tiny_chat_model(tmp_path / "wide", d_model=48)), dtype="float32")
    result = compare(tiny, wide, tmp_path / "run")
    reasons = {one.rung: one.reason for one in result.skipped}
    assert "3 x 48: activations of unlike width" in reasons["lens"]
    assert result.distributions is not None
    assert result.lens is None


def test_bad_input_is_refused_before_anything_is_read(tiny, planted, tmp_path):
    with (
        Run.open(tmp_path / "a", kind="diff", config={}) as run,
        pytest.raises(DataError, match="10 different prompts are too few"),
    ):
        compare_models(tiny, planted, DiffInputs(diff_kit.prompts(10)), diff_kit.CONFIG, run=run)
    with pytest.raises(DataError, match="no layer 9"):
        compare(tiny, planted, tmp_path / "b", diff_kit.CONFIG.model_copy(update={"layer": 9}))
    assert not (tmp_path / "b/answers").exists()


def test_pushes_are_answered_on_the_first_prompts_alone(tiny, planted, tmp_path):
    """What takes longest is bounded: claims about words compare arms on these, kinds of prompts on all."""
    config = CONFIG.model_copy(update={"n_prompts": 44, "n_pushed": 20})
    prompts = split_prompts(diff_kit.prompts(), config)
    vector = torch.randn(32, generator=torch.Generator().manual_seed(0))
    direction = PushDirection("one", "resid_post.1", vector / vector.norm(), 1.0, 0.5, "response", {})
    with Run.open(tmp_path / "run", kind="diff", config={}) as run:
        base, tuned = (ObservedModel(model, tiny, prompts, config, run) for model in (tiny, planted))
        pusher = DirectionPusher(base, tuned, config, run, "arms")
        arms = pusher.answers(direction)
        assert len(base.held_out_answers) == 22
        assert {arm: len(texts) for arm, texts in arms.items()} == dict.fromkeys(arms, 20)
        assert len(pusher.discovery_answers(direction)) == 20
        assert {len(losses) for losses in pusher.losses(direction).values()} == {22}
        word = word_candidate("words", "lens", "the model", ["one"], "a test", "one")
        (claim,) = ClaimTester(base, tuned, [], {"one": direction}, {}, pusher, None, config).test([word])
    assert [check.effect is not None for check in claim.checks] == [True, True, True]
