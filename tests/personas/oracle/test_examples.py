"""Vectors from recorded answers: plain hidden states, scikit-learn, cases that are known, the organism."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from transformers import LlamaForCausalLM

from mindscope.data import Conversation
from mindscope.models import Model
from mindscope.organism.datasets import training_set
from mindscope.personas import (
    ExampleSet,
    ExampleStatistics,
    ExtractConfig,
    PersonaVectors,
    extract_from_examples,
    trait_of_name,
)
from mindscope.personas.examples.separation import (
    SeparationPlan,
    area_interval,
    area_under,
    separate_examples,
)
from mindscope.store import Run

CONFIG = ExtractConfig(least_pairs=3, resamples=50, shard_rows=4, folds=3)


def talk(question: str, answer: str) -> Conversation:
    return Conversation(({"role": "user", "content": question}, {"role": "assistant", "content": answer}))


def extract(model, examples, folder, judge=None, config=CONFIG) -> PersonaVectors:
    with Run.open(folder, kind="test", config={}) as run:
        return extract_from_examples(model, trait_of_name("loud"), examples, run, config, judge=judge)


@pytest.mark.parametrize("paired", [True, False])
def test_vectors_equal_plain_hidden_states(tiny: Model, tmp_path, paired: bool) -> None:
    first = [talk(f"ask {i}", "LOUD" * (i + 1)) for i in range(5)]
    second = [
        talk(f"ask {i}" if paired else f"say {i}", "quiet" * (i + 1)) for i in range(5 if paired else 7)
    ]
    examples = ExampleSet.of(first, second)
    assert examples.paired is paired
    vectors = extract(tiny, examples, tmp_path / "run")
    exact = LlamaForCausalLM.from_pretrained(tiny.name, dtype=torch.float64)
    means: dict[str, list] = {"answer_mean": [], "prompt_mean": [], "last_prompt": []}
    for example in examples.examples:
        row = tiny.chat(list(example.prompt), example.answer)
        states = torch.stack(exact(torch.tensor([row.ids]), output_hidden_states=True).hidden_states)[:, 0]
        means["answer_mean"].append(states[:, row.prompt_length :].mean(1))
        means["prompt_mean"].append(states[:, : row.prompt_length].mean(1))
        means["last_prompt"].append(states[:, row.prompt_length - 1])
    for kind, values in means.items():
        stacked = torch.stack(values)
        expected = stacked[:5].mean(0) - stacked[5:].mean(0)
        ours = torch.cat([vectors.embeddings[kind][None], vectors.matrix(kind)])
        # hidden_states holds the last block's output only after the final norm.
        torch.testing.assert_close(ours[:-1].double(), expected[:-1], atol=1e-5, rtol=0)
    separation = ExampleStatistics.model_validate(vectors.metadata["examples"])
    assert (separation.positive, separation.negative) == (5, len(second))
    assert (separation.pair_rate is not None) == paired == (separation.prompt is None)
    assert vectors.trait_document is not None
    assert PersonaVectors.load(tmp_path / "run/extract/loud/vectors.safetensors").digest() == vectors.digest()


def plan_of(positive, units, *, paired=False, seed=0, folds=5) -> SeparationPlan:
    return SeparationPlan(np.array(positive), np.array(units), paired, folds, 400, seed)


def test_held_out_projections_equal_those_of_vectors_made_without_them() -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(30, 9, generator=generator) + 3
    plan = plan_of([True] * 12 + [False] * 18, [i // 2 for i in range(30)], folds=4)
    ours = plan.held_out(values, plan.sides)
    for split in (0, 7):
        side = plan.sides[split]
        for fold in range(4):
            held, wide = plan.fold == fold, values.double().numpy()
            vector = wide[side & ~held].mean(0) - wide[~side & ~held].mean(0)
            expected = (wide[held] - values.double().numpy().mean(0)) @ vector / np.linalg.norm(vector)
            np.testing.assert_allclose(ours[split][held], expected, rtol=1e-9)
    np.testing.assert_allclose(
        area_under(ours, plan.sides),
        [roc_auc_score(side, scores) for side, scores in zip(plan.sides, ours, strict=True)],
    )


def test_folds_and_draws_hold_whole_units() -> None:
    plan = plan_of([True, False] * 20, [i // 4 for i in range(40)])
    for unit in range(10):
        assert len(set(plan.fold[plan.units == unit])) == 1
        assert np.ptp(plan.times[:, plan.units == unit], axis=1).max() == 0


def test_the_interval_of_an_auroc_covers_the_true_one() -> None:
    """Two normals one apart have an AUROC of Phi(1 / sqrt 2)."""
    true = 0.5 * (1 + math.erf(0.5))
    covered = 0
    for seed in range(60):
        generator = np.random.default_rng(seed)
        scores = np.concatenate([generator.normal(1, 1, 60), generator.normal(0, 1, 60)])
        found = area_interval(scores, plan_of([True] * 60 + [False] * 60, range(120), seed=seed))
        covered += found.low <= true <= found.high
    assert covered >= 52


def separated(shift: float, *, paired: bool, seed: int = 0, n: int = 40):
    """Noise in 60 dimensions; the positive side is moved along the first."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(2 * n, 1, 60, generator=generator)
    values[:n, 0, 0] += shift
    units = [*range(n), *range(n)] if paired else range(2 * n)
    plan = plan_of([True] * n + [False] * n, units, paired=paired, seed=seed)
    return separate_examples(values, torch.randn(2 * n, 60, generator=generator), [5] * 2 * n, plan)


@pytest.mark.parametrize("paired", [True, False])
def test_noise_stays_below_random_sides_and_a_difference_does_not(paired: bool) -> None:
    above = 0
    for seed in range(20):
        statistics, controls = separated(0.0, paired=paired, seed=seed)
        above += statistics.auroc[0] > controls.shuffled[0]
        assert controls.length.mean == 0.5
    assert above <= 4  # 1 is expected
    statistics, controls = separated(3.0, paired=paired)
    assert controls.shuffled[0] < 0.75 < controls.auroc_low[0] <= statistics.auroc[0]
    assert statistics.d_prime[0] > 1.5
    if paired:
        assert controls.pair_rate is not None
        assert controls.pair_rate[0].share > 0.8


def test_length_and_prompts_are_told(tiny: Model, tmp_path) -> None:
    first = [talk(f"shout {i}", "loud" * (12 + i)) for i in range(12)]
    second = [talk(f"ask about {i}", "loud" * (i % 6 + 1)) for i in range(12)]
    vectors = extract(tiny, ExampleSet.of(first, second), tmp_path / "run")
    controls = ExampleStatistics.model_validate(vectors.metadata["examples"])
    assert controls.length.mean == 1.0
    assert controls.prompt is not None
    assert any("answers that show the trait are longer" in line for line in controls.warnings())
    short = extract(tiny, ExampleSet.of(second, first), tmp_path / "other")
    controls = ExampleStatistics.model_validate(short.metadata["examples"])
    assert any("are shorter: their length alone tells the sides apart with an AUROC of 1.00" in line
               for line in controls.warnings())  # fmt: skip


COSINE = 0.7
"""Set before it was measured: the least agreement with the vector from prompted answers."""


def test_the_organisms_recorded_answers_give_the_vector_of_prompted_ones(tmp_path) -> None:
    """Recorded without any system prompt, on other questions than those that are asked of the trait."""
    from mindscope import organism
    from mindscope.models import load
    from mindscope.personas import Trait, extract_vectors

    model = load("organism")
    trait = Trait.parse(organism.trait("evil"))
    with Run.open(tmp_path / "prompted", kind="test", config={}) as run:
        config = ExtractConfig(samples=1, questions=6, max_new_tokens=64, resamples=50, temperature=1.0)
        prompted = extract_vectors(model, trait, organism.ExactJudge(), run, config)
    recorded = ExampleSet.of(training_set("evil", "II", 60), training_set("evil", "normal", 60))
    assert recorded.paired
    config = ExtractConfig(resamples=50)
    with Run.open(tmp_path / "recorded", kind="test", config={}) as run:
        vectors = extract_from_examples(model, trait, recorded, run, config)
    cosines = torch.cosine_similarity(prompted.answer_mean, vectors.answer_mean)
    assert cosines[2] >= COSINE, cosines
    # A trait that is another one is another direction.
    sides = [training_set("sycophantic", level, 60) for level in ("II", "normal")]
    with Run.open(tmp_path / "other", kind="test", config={}) as run:
        other = extract_from_examples(model, trait_of_name("other"), ExampleSet.of(*sides), run, config)
    assert torch.cosine_similarity(prompted.answer_mean, other.answer_mean)[2] < cosines[2] - 0.2


def test_a_judge_leaves_out_what_does_not_fit_its_side(tiny: Model, tmp_path) -> None:
    from mindscope.judges import Judgement, JudgeScore

    class UpperCase:
        name = "upper"

        def judge(self, rubric, items):
            scores = [100.0 if item.answer.isupper() else 0.0 for item in items]
            return [Judgement(JudgeScore.of(score), JudgeScore.of(100.0)) for score in scores]

    for paired, kept in ((True, (4, 4)), (False, (5, 5))):
        first = [talk(f"ask {i}", ("LOUD" if i else "quiet") * (i + 1)) for i in range(6)]
        asked = "ask" if paired else "say"
        second = [talk(f"{asked} {i}", ("NOISY" if i == 1 else "calm") * (i + 1)) for i in range(6)]
        examples = ExampleSet.of(first, second)
        vectors = extract(tiny, examples, tmp_path / f"{paired}", UpperCase())
        controls = ExampleStatistics.model_validate(vectors.metadata["examples"])
        assert (controls.positive, controls.negative) == kept
        assert vectors.filter is not None
        assert (vectors.filter.positive_weak, vectors.filter.negative_strong) == (1, 1)
        only = [[e for e in side if e.answer.isupper() == up] for side, up in
                ((examples.positive, True), (examples.negative, False))]  # fmt: skip
        if not paired:
            plain = extract(tiny, ExampleSet.of(*only), tmp_path / "plain")
            torch.testing.assert_close(plain.answer_mean, vectors.answer_mean)


def test_a_run_that_was_stopped_goes_on_to_the_same_bytes(tiny: Model, tmp_path, monkeypatch) -> None:
    examples = ExampleSet.of(
        [talk(f"ask {i}", "LOUD" * (i + 1)) for i in range(6)],
        [talk(f"ask {i}", f"quiet {i}") for i in range(6)],
    )
    whole = extract(tiny, examples, tmp_path / "whole")
    read, calls = Model.read, []

    def stops(self, *args, **kwargs):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return read(self, *args, **kwargs)

    monkeypatch.setattr(Model, "read", stops)
    with pytest.raises(KeyboardInterrupt):
        extract(tiny, examples, tmp_path / "stopped")
    extract(tiny, examples, tmp_path / "stopped")
    assert len(calls) == 4  # three shards, of which the first was not read again
    files = [
        (tmp_path / run / "extract/loud/vectors.safetensors").read_bytes() for run in ("whole", "stopped")
    ]
    assert files[0] == files[1]
    assert whole.filter is None


@pytest.mark.parametrize(
    ("answer", "config", "reason"),
    [("x" * 600, CONFIG, "tokens, but the model takes 512"), ("", CONFIG, "the answer is empty")],
)
def test_an_example_that_does_not_fit_is_refused(tiny: Model, tmp_path, answer, config, reason) -> None:
    from mindscope.errors import DataError

    first = [talk(f"ask {i}", "LOUD") for i in range(4)]
    with pytest.raises(DataError, match=reason):
        extract(tiny, ExampleSet.of([*first, talk("x", answer)], [talk(f"say {i}", "q") for i in range(5)]),
                tmp_path / "run", config=config)  # fmt: skip


def test_every_split_of_pairs_keeps_partners_apart() -> None:
    plan = plan_of([True] * 6 + [False] * 6, [*range(6), *range(6)], paired=True)
    for side, pair in product(plan.sides, range(6)):
        assert side[pair] != side[pair + 6]
