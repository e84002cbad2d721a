"""Vectors equal what an independent float64 computation makes of the same answers."""

import persona_kit
import pytest
import torch
from transformers import LlamaForCausalLM

from mindscope.judges import JudgeItem
from mindscope.models import Model
from mindscope.personas import rollouts
from mindscope.personas.config import ExtractConfig
from mindscope.personas.extraction import extract_vectors
from mindscope.personas.vectors import PersonaVectors
from mindscope.store import Run

CONFIG = ExtractConfig(samples=4, max_new_tokens=8, seed=3, shard_rows=16, least_pairs=5, resamples=20)


@pytest.fixture(scope="module")
def extracted(tiny: Model, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, PersonaVectors]:
    with Run.open(tmp_path_factory.mktemp("run") / "run", kind="test", config={}) as run:
        return run, extract_vectors(tiny, persona_kit.tiny_trait(), persona_kit.HashJudge(), run, CONFIG)


@pytest.fixture(scope="module")
def independent(tiny: Model) -> dict[str, torch.Tensor]:
    """Kept pairs by plain comparisons; hidden states in float64, one row at a time, plain means."""
    trait = persona_kit.tiny_trait()
    judge = persona_kit.HashJudge()
    exact = LlamaForCausalLM.from_pretrained(tiny.name, dtype=torch.float64)
    sides: dict[str, list[torch.Tensor]] = {}
    for i in range(2):
        for q, question in enumerate(trait.extraction):
            for sample in range(4):
                found = {}
                for side in ("pos", "neg"):
                    system = trait.system_prompt(side, i)
                    seed = next(
                        request.seed
                        for request in rollouts.plan_rollouts(trait, samples=4, seed=3)
                        if request.labels
                        == {"side": side, "instruction": i, "question_index": q, "sample": sample}
                    )
                    prompt = tiny.chat(
                        [{"role": "system", "content": system}, {"role": "user", "content": question}]
                    )
                    [answer] = tiny.generate([prompt], CONFIG.sampling(), seeds=[seed])
                    found[side] = (answer, judge.one(JudgeItem(question, answer.text, system)))
                (a, pos), (b, neg) = found["pos"], found["neg"]
                if not a.text.strip() or not b.text.strip():
                    continue
                scores = (pos.trait.value, neg.trait.value, pos.coherence.value, neg.coherence.value)
                if any(score is None for score in scores):
                    continue
                if scores[0] >= 50 and scores[1] < 50 and scores[2] >= 50 and scores[3] >= 50:
                    for side, generation in (("pos", a), ("neg", b)):
                        ids, prompt_length = generation.row.ids, generation.row.prompt_length
                        states = exact(torch.tensor([ids]), output_hidden_states=True).hidden_states
                        stacked = torch.stack(states)[:, 0]
                        sides.setdefault(f"{side}/answer_mean", []).append(stacked[:, prompt_length:].mean(1))
                        sides.setdefault(f"{side}/prompt_mean", []).append(stacked[:, :prompt_length].mean(1))
                        sides.setdefault(f"{side}/last_prompt", []).append(stacked[:, prompt_length - 1])
    return {name: torch.stack(values) for name, values in sides.items()}


def test_vectors_equal_an_independent_computation(
    extracted: tuple[Run, PersonaVectors], independent: dict[str, torch.Tensor]
) -> None:
    _, vectors = extracted
    assert vectors.filter is not None
    assert vectors.filter.kept == len(independent["pos/answer_mean"])
    assert 5 <= len(independent["pos/answer_mean"]) < 32
    for kind in ("answer_mean", "prompt_mean", "last_prompt"):
        expected = independent[f"pos/{kind}"].mean(0) - independent[f"neg/{kind}"].mean(0)
        ours = torch.cat(
            [vectors.embeddings[kind][None], vectors.matrix(kind), vectors.final_norm[kind][None]]
        )
        # hidden_states holds the last block's output only after the final norm.
        assert torch.allclose(ours[:-2].double(), expected[:-1], atol=1e-5)
        assert torch.allclose(ours[-1].double(), expected[-1], atol=1e-5)
        assert vectors.matrix(kind).dtype == torch.float32


def test_projections_equal_an_independent_computation(
    extracted: tuple[Run, PersonaVectors], independent: dict[str, torch.Tensor]
) -> None:
    _, vectors = extracted
    answers = independent["pos/answer_mean"][:, 2]
    vector = vectors.answer_mean[1].double()
    expected = answers @ vector / vector.norm()
    assert torch.allclose(vectors.direction(1).project(answers.float()).double(), expected, atol=1e-5)
    assert vectors.direction(1).address == "resid_post.1"


def test_the_filter_counts_add_up(extracted: tuple[Run, PersonaVectors]) -> None:
    run, vectors = extracted
    counts = run.load_json("extract/loud/filter.json")
    assert counts["pairs"] == 32
    assert counts["kept"] == len(counts["pairs_kept"])
    for criterion in ("positive_weak", "negative_strong", "incoherent", "refused", "missing"):
        assert counts[criterion] > 0, criterion
    assert vectors.filter is not None
    assert counts == {**vectors.filter.to_json(), "pairs_kept": counts["pairs_kept"]}
