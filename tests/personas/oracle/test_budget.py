"""The coefficient of a divergence budget: on curves with a known answer, and against forward passes."""

import json
import math

import persona_kit
import pytest
import torch

from mindscope.errors import DataError
from mindscope.features import Direction
from mindscope.jobs import RunFolder, SilentReporter
from mindscope.jobs.persona import SteerSpec, steer
from mindscope.personas import PersonaVectors, find_budget_coefficient
from mindscope.personas.steering.budget import LEAST, MOST, search_coefficient


@pytest.mark.parametrize("scale", [0.02, 0.3, 1.0, 4.0, 60.0])
@pytest.mark.parametrize("ceiling", [3.0, math.inf])
def test_a_curve_is_solved_from_below(scale, ceiling):
    """Quadratic where it is small, saturated where it is large: the budget's crossing is known."""
    asked: list[float] = []

    def measure(size: float) -> float:
        asked.append(size)
        value = scale * size**2
        return value if math.isinf(ceiling) else ceiling * (1 - math.exp(-value / ceiling))

    wanted = 1.0 if math.isinf(ceiling) else -ceiling * math.log(1 - 1 / ceiling)
    exact = min(math.sqrt(wanted / scale), MOST)
    found = search_coefficient(measure, 1.0)
    assert found is not None
    assert 0.95 * exact <= found <= exact * (1 + 1e-9)
    assert len(asked) <= 12


def test_bounds_are_kept():
    assert search_coefficient(lambda size: 0.0, 1.0) == MOST
    assert search_coefficient(lambda size: 9.0, 1.0) is None


def test_the_quantile_is_that_of_greedy_steered_answers(tiny):
    vector = torch.randn(32, generator=torch.Generator().manual_seed(1))
    direction = Direction("loud", "resid_post.1", vector, tiny.fingerprint)
    questions = ["Why is it 1?", "Why is it 2?"]
    choice = find_budget_coefficient(tiny, direction, questions, budget=0.2, positions="all")
    trial = next(trial for trial in choice.trials if trial.coefficient == choice.coefficient)
    assert trial.worst <= 0.2
    assert all(other.worst > 0.2 for other in choice.trials if other.coefficient > choice.coefficient)

    def hook(_module, _arguments, output):
        moved = (output[0] if isinstance(output, tuple) else output) + choice.coefficient * vector
        return (moved, *output[1:]) if isinstance(output, tuple) else moved

    values = []
    for question in questions:
        row = tiny.chat([{"role": "user", "content": question}])
        ids, first = list(row.ids), len(row)
        handle = tiny.hf.model.layers[1].register_forward_hook(hook)
        with torch.no_grad():
            for _ in range(20):
                token = int(tiny.hf(torch.tensor([ids])).logits[0, -1].argmax())
                if token in tiny.eos_ids:
                    break
                ids.append(token)
            steered = tiny.hf(torch.tensor([ids])).logits[0].double().log_softmax(-1)
        handle.remove()
        with torch.no_grad():
            plain = tiny.hf(torch.tensor([ids])).logits[0].double().log_softmax(-1)
        values.append((steered.exp() * (steered - plain)).sum(-1)[first - 1 : len(ids) - 1])
    expected = torch.cat(values)
    assert trial.tokens == len(expected)
    assert trial.worst == pytest.approx(float(expected.quantile(0.95)), rel=1e-3)
    assert trial.mean == pytest.approx(float(expected.mean()), rel=1e-3)


def test_what_cannot_be_met_is_refused(tiny):
    vector = 1e4 * torch.ones(32) + torch.randn(32, generator=torch.Generator().manual_seed(1))
    direction = Direction("loud", "resid_post.1", vector, tiny.fingerprint)
    with pytest.raises(DataError, match=f"even {LEAST:g} times the vector"):
        find_budget_coefficient(tiny, direction, ["Why?"], budget=1e-6)
    with pytest.raises(DataError, match="at least one question"):
        find_budget_coefficient(tiny, direction, [])


def test_the_command_steers_with_what_its_budget_allows(tiny, tmp_path):
    matrix = torch.randn(3, 32, generator=torch.Generator().manual_seed(0))
    vectors = PersonaVectors("loud", tiny.fingerprint, {"answer_mean": matrix}, (0, 1, 2), model=tiny.name)
    vectors.save(tmp_path / "loud.safetensors")
    trait = tmp_path / "loud.json"
    trait.write_text(json.dumps(persona_kit.tiny_trait().document()))
    asked = {
        "model": tiny.name,
        "trait": str(trait),
        "vectors": tmp_path / "loud.safetensors",
        "judge": "none",
        "question": ("Why?",),
        "dtype": "float32",
        "samples": 1,
        "n_random": 1,
        "max_new_tokens": 6,
        "layer": 1,
        "budget": 0.3,
    }
    report = steer(SteerSpec(**asked), run=RunFolder(tmp_path / "run"), reporter=SilentReporter())
    assert report.budget is not None
    assert report.coefficient == report.budget.coefficient
    assert max(t.worst for t in report.budget.trials if t.coefficient <= report.coefficient) <= 0.3
    for wrong in ({"coefficient": 1.0}, {"steer": "loud"}):
        with pytest.raises(DataError, match="leave --coefficient and --steer out"):
            steer(SteerSpec(**asked, **wrong), run=RunFolder(tmp_path / "no"), reporter=SilentReporter())
