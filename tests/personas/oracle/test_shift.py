"""Shift against weights that were moved by a known amount, and against plain hooks in float64."""

import copy
import weakref
from pathlib import Path

import persona_kit
import pytest
import tiny_models
import torch

from mindscope.errors import DataError, StoreError
from mindscope.models import Model, load
from mindscope.personas import PersonaVectors, ShiftConfig, ShiftResult, measure_shift
from mindscope.personas.shift import measure
from mindscope.personas.shift.report import shift_report
from mindscope.stats.bootstrap import bootstrap_intervals
from mindscope.store import Run

LLAMA = next(family for family in tiny_models.FAMILIES if family.name == "llama")
GPT2 = next(family for family in tiny_models.FAMILIES if family.name == "gpt2")
PROMPTS = ["w1 w2 w3", "w4", "w5 w6 w7 w8 w9", "w10 w3", "w11 w12 w1 w2"]


def vectors_of(model: Model, trait: str = "loud", seed: int = 0) -> PersonaVectors:
    generator = torch.Generator().manual_seed(seed)
    matrix = torch.randn(model.n_layers, model.d_model, generator=generator)
    return PersonaVectors(
        trait=trait,
        fingerprint=model.fingerprint,
        matrices={"answer_mean": matrix},
        layers=tuple(range(model.n_layers)),
    )


def moved(model: Model, change) -> Model:
    hf = copy.deepcopy(model.hf)
    with torch.no_grad():
        change(hf)
    return Model.wrap(hf, model.tokenizer, name="tuned")


@pytest.mark.parametrize(
    ("family", "extra", "bias"),
    [
        (LLAMA, {"mlp_bias": True}, lambda hf: hf.model.layers[1].mlp.down_proj.bias),
        (GPT2, {}, lambda hf: hf.transformer.h[1].mlp.c_proj.bias),
    ],
)
def test_a_bias_of_c_times_v_is_a_shift_of_c_times_its_norm(family, extra, bias) -> None:
    base = tiny_models.build(family, **extra)
    vectors, other = vectors_of(base), vectors_of(base, "quiet", seed=1)
    v, w = vectors.answer_mean[1].double(), other.answer_mean[1].double()
    tuned = moved(base, lambda hf: bias(hf).add_(1.5 * vectors.answer_mean[1]))
    result = measure_shift(base, tuned, [vectors, other], PROMPTS, ShiftConfig(resamples=100))
    at = result.of("loud", 1)
    assert at.shift == pytest.approx(1.5 * v.norm().item(), rel=1e-5)
    assert at.low == pytest.approx(at.shift, rel=1e-5)  # every prompt moved by the same
    assert at.high == pytest.approx(at.shift, rel=1e-5)
    assert at.cosine == pytest.approx(1, abs=1e-6)
    cosine = (v @ w / v.norm() / w.norm()).item()
    assert result.of("quiet", 1).shift == pytest.approx(1.5 * v.norm().item() * cosine, rel=1e-4)
    assert result.of("quiet", 1).cosine == pytest.approx(cosine, abs=1e-5)
    assert result.of("loud", 0).shift == 0
    assert result.of("loud", 0).cosine is None


def test_any_change_against_plain_hooks_in_float64() -> None:
    base = tiny_models.build(LLAMA)
    generator = torch.Generator().manual_seed(4)
    tuned = moved(
        base,
        lambda hf: [p.add_(0.05 * torch.randn(p.shape, generator=generator)) for p in hf.parameters()],
    )
    vectors = vectors_of(base)
    result = measure_shift(base, tuned, vectors, PROMPTS, ShiftConfig(shard_rows=2))
    lasts = {name: _last_prompt(model) for name, model in (("base", base), ("tuned", tuned))}
    for layer in range(3):
        v = vectors.answer_mean[layer].double()
        step = (lasts["tuned"] - lasts["base"])[:, layer]
        one = result.of("loud", layer)
        assert one.shift == pytest.approx((step.mean(0) @ v / v.norm()).item(), abs=1e-4)
        assert one.base == pytest.approx((lasts["base"][:, layer].mean(0) @ v / v.norm()).item(), abs=1e-4)
        cosine = step.mean(0) @ v / v.norm() / step.mean(0).norm()
        assert one.cosine == pytest.approx(cosine.item(), abs=1e-4)
        assert one.low < one.shift < one.high
        spread = (step @ v / v.norm()).std(correction=0).item() / len(PROMPTS) ** 0.5
        assert one.high - one.low == pytest.approx(2 * 1.96 * spread, rel=0.25)


def _last_prompt(model: Model) -> torch.Tensor:
    """[prompts, layers, width], one unpadded float64 pass a prompt."""
    hf = copy.deepcopy(model.hf).double()
    seen: list[torch.Tensor] = []
    for block in hf.model.layers:
        block.register_forward_hook(
            lambda _m, _i, out: seen.append((out[0] if isinstance(out, tuple) else out)[0, -1])
        )
    rows = []
    for prompt in PROMPTS:
        seen.clear()
        with torch.no_grad():
            hf(torch.tensor([model.chat([{"role": "user", "content": prompt}]).ids]))
        rows.append(torch.stack(seen))
    return torch.stack(rows)


def test_answers_are_read_while_they_are_given() -> None:
    base = tiny_models.build(LLAMA, mlp_bias=True)
    vectors = vectors_of(base)
    # At the last block the push changes what is said, so the answers' means are those of other words.
    tuned = moved(base, lambda hf: hf.model.layers[2].mlp.down_proj.bias.add_(vectors.answer_mean[2]))
    config = ShiftConfig(answers=True, samples=2, max_new_tokens=5, layers=(2,), seed=3)
    result = measure_shift(base, tuned, vectors, PROMPTS, config)
    assert result.of("loud", 2).shift == pytest.approx(vectors.norms[2].item(), rel=1e-5)
    answers = result.of("loud", 2, at="answer")
    assert answers.shift == pytest.approx(answers.tuned - answers.base, abs=1e-6)
    assert answers.prompts <= len(PROMPTS)
    assert answers.shift != result.of("loud", 2).shift


def test_the_interval_covers() -> None:
    """400 draws of 40 prompts each: the true mean lies inside about 95 of 100 intervals."""
    generator = torch.Generator().manual_seed(0)
    values = 3 + torch.randn(40, 400, generator=generator, dtype=torch.float64)
    low, high = bootstrap_intervals(values, resamples=1000)
    assert 0.90 < ((low < 3) & (high > 3)).double().mean() < 0.98
    again = bootstrap_intervals(values[:, :1].expand(-1, 2), resamples=1000)
    assert torch.equal(again[:, 0], again[:, 1])  # columns share their draws


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, list[Path]]:
    """A base model and two folders, in which the last block's push grows."""
    folder = tmp_path_factory.mktemp("checkpoints")
    base = load(str(persona_kit.tiny_chat_model(folder / "base")), dtype="float32")
    for step in (1, 2):
        tuned = moved(base, lambda hf, step=step: hf.model.layers[1].mlp.down_proj.weight.mul_(1 + step))
        tuned.hf.save_pretrained(folder / f"step{step}")
        base.tokenizer.save_pretrained(folder / f"step{step}")
    return base, [folder / "step1", folder / "step2"]


def test_checkpoints_resume_and_show(checkpoints: tuple[Model, list[Path]], tmp_path: Path) -> None:
    base, folders = checkpoints
    vectors, prompts = vectors_of(base), ["one", "two?", "three", "four"]
    config = ShiftConfig(shard_rows=2)
    heard: list[tuple[int, int, str]] = []

    def stop_in_the_second(*news) -> None:
        heard.append(news)
        if len(heard) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Run.open(tmp_path / "run", kind="test", config={}) as run:
        measure_shift(base, folders, vectors, prompts, config, run=run, progress=stop_in_the_second)
    kept = {file: file.stat().st_mtime_ns for file in (tmp_path / "run/shift").rglob("*.safetensors")}
    assert len(kept) == 5
    with Run.open(tmp_path / "run", kind="test", config={}) as run:
        result = measure_shift(base, folders, vectors, prompts, config, run=run)
        assert all(file.stat().st_mtime_ns == then for file, then in kept.items())
        with pytest.raises(StoreError, match="another prompts"):
            measure_shift(base, folders, vectors, [*prompts, "five"], config, run=run)
    assert result == measure_shift(base, folders, vectors, prompts, config)
    assert [moved.model for moved in result.tuned] == [str(folder) for folder in folders]
    first, second = (result.of("loud", 1, checkpoint=step) for step in (0, 1))
    assert first.base == second.base
    assert second.shift == pytest.approx(2 * first.shift, rel=1e-3)  # the push is linear in the weight
    result.save(tmp_path / "shift.json")
    assert ShiftResult.load(tmp_path / "shift.json") == result
    page = shift_report(result, layer=1).html()
    assert page.count("<svg") == 3
    assert f"{second.shift:.2f}"[:4] in result._repr_html_()


def test_what_cannot_be_compared_is_refused(checkpoints: tuple[Model, list[Path]], tmp_path: Path) -> None:
    base, folders = checkpoints
    vectors = vectors_of(base)
    with pytest.raises(DataError, match="two prompts"):
        measure_shift(base, folders[0], vectors, ["one"])
    with pytest.raises(DataError, match="come from another model"):
        measure_shift(load(str(folders[0]), dtype="float32"), folders[1], vectors, ["one", "two"])
    deeper = load(str(persona_kit.tiny_chat_model(tmp_path / "deeper", n_layers=4)), dtype="float32")
    with pytest.raises(DataError, match="4 layers x 32"):
        measure_shift(base, deeper, vectors, ["one", "two"])
    other = moved(base, lambda hf: None)
    other.tokenizer = copy.deepcopy(base.tokenizer)
    other.tokenizer.chat_template = persona_kit.TEMPLATE.replace("<s>assistant", "<s>robot")
    with pytest.raises(DataError, match="tokenizes prompt 0 otherwise"):
        measure_shift(base, other, vectors, ["one", "two"])


def test_a_tuned_model_is_let_go_before_the_next_is_loaded(tmp_path, monkeypatch) -> None:
    """Weak references: at each loading only the base and nothing of an earlier tuned model lives."""
    base = tiny_models.build(LLAMA)
    folders = [tmp_path / name for name in ("a", "b", "c")]
    for number, folder in enumerate(folders):
        tuned = moved(base, lambda hf, n=number: hf.model.layers[0].mlp.down_proj.weight.mul_(1 + 0.1 * n))
        tuned.hf.save_pretrained(folder)
        tuned.tokenizer.save_pretrained(folder)
        del tuned
    weights: list[weakref.ref] = []

    def load_watched(name, *given, **options) -> Model:
        alive = [reference for reference in weights if reference() is not None]
        assert not alive, f"{len(alive)} earlier models live while {name} is loaded"
        model = load(name, *given, **options)
        weights.append(weakref.ref(model.hf.model.embed_tokens.weight))
        return model

    monkeypatch.setattr(measure, "load", load_watched)
    shift = measure_shift(base, folders, vectors_of(base), PROMPTS)
    assert len(shift.tuned) == len(weights) == 3
