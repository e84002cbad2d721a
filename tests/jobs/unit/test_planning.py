"""`mindscope plan`: arithmetic of cards from a configuration alone, and a stand-in on this machine."""

import json
from pathlib import Path

import pytest

from mindscope.dictionaries import DictionaryConfig, DictionaryTrainer, Site
from mindscope.errors import DataError
from mindscope.gate import GatePolicy
from mindscope.jobs import SilentReporter
from mindscope.jobs.planning import LONG_JOBS, CoderSize, JobPlan, PlanSpec, plan
from mindscope.jobs.planning.counter import find_longest
from mindscope.jobs.planning.feature_work import count_weights
from mindscope.jobs.planning.machines import parse_cards
from mindscope.jobs.planning.probes import CALIBRATED, build_random_transcoders, build_row
from mindscope.models import Model, Raw, Read, build_stand_in, read_shape

GEMMA = {
    "model_type": "gemma2",
    "hidden_size": 2304,
    "intermediate_size": 9216,
    "num_hidden_layers": 26,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "vocab_size": 256_000,
    "tie_word_embeddings": True,
}
LLAMA_405B = {
    "model_type": "llama",
    "hidden_size": 16_384,
    "intermediate_size": 53_248,
    "num_hidden_layers": 126,
    "num_attention_heads": 128,
    "num_key_value_heads": 8,
    "vocab_size": 128_256,
    "tie_word_embeddings": False,
}
EXPERTS = {
    "model_type": "qwen3_moe",
    "hidden_size": 2048,
    "num_hidden_layers": 48,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
    "head_dim": 128,
    "num_experts": 128,
    "num_experts_per_tok": 8,
    "moe_intermediate_size": 768,
    "vocab_size": 151_936,
    "tie_word_embeddings": False,
}
TINY = {
    "model_type": "llama",
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "vocab_size": 64,
    "max_position_embeddings": 512,
}
GB = 1e9
OPENING = ("start", "loading the model", "a first look")


def config(folder: Path, content: dict) -> str:
    path = folder / "config.json"
    path.write_text(json.dumps(content))
    return str(path)


def planned(job: str, model: str, **sizes):
    return plan(PlanSpec(job=job, model=model, **sizes), reporter=SilentReporter())


def test_a_configuration_alone_says_how_large_a_model_is(tmp_path):
    """The sizes that the models' makers publish: 2.6, 405.9 and 30.5 billion, of which 3.3 are active."""
    gemma = read_shape(config(tmp_path, GEMMA))
    assert gemma.parameters == 2_614_341_888
    assert gemma.block_parameters == gemma.parameters - 256_000 * 2304
    assert read_shape(config(tmp_path, LLAMA_405B)).parameters == 405_853_388_800
    experts = read_shape(config(tmp_path, EXPERTS))
    assert experts.parameters == 30_532_122_624
    assert 3.3e9 < experts.active_parameters < 3.4e9


def test_a_cross_layer_transcoder_of_gemma_fits_eight_cards_and_not_one(tmp_path):
    """26 layers of 16,384 latents: an encoder each, 351 decoder blocks, 16 bytes a weight for Adam."""
    weights = 16_384 * 2304 * (26 + 26 * 27 // 2)
    assert count_weights("clt", 26, 16_384, 2304) == weights == 14_231_273_472
    model, sizes = config(tmp_path, GEMMA), {"kind": "clt", "n_latents": 16_384}
    one = planned("dictionary train", model, gpus="H100", **sizes)
    eight = planned("dictionary train", model, gpus="8xH100", price=2.0, **sizes)

    def trained(result):
        return next(part.bytes for part in result.memory if part.name.startswith("weights, gradients"))

    assert trained(one) == pytest.approx(16 * weights * 1.1)
    assert trained(eight) == pytest.approx(trained(one) / 8)
    assert not one.fits
    assert eight.fits
    assert eight.memory_bytes < 80 * GB
    assert one.disk_bytes == eight.disk_bytes > 12 * weights
    assert eight.cost == pytest.approx(2.0 * 8 * eight.seconds / 3600)


def test_weights_that_are_too_many_for_a_card_are_shared_out_and_work_one_card_at_a_time(tmp_path):
    model = config(tmp_path, LLAMA_405B)
    few = planned("persona extract", model, gpus="8xH100", answer_tokens=200)
    many = planned("persona extract", model, gpus="32xH200", answer_tokens=200)
    assert not few.fits
    assert many.fits
    assert "3 copies" in many.notes[-1]
    # a step reads all weights once: at half of 4.8 TB/s, 0.34 s, in 32 batches of 200 tokens, over 3 copies
    answers = next(phase.seconds for phase in many.phases if phase.name == "answers")
    assert answers > 2000 / 64 * 200 * (2 * 405.9e9 / 2.4e12) / 3


@pytest.mark.parametrize("job", LONG_JOBS)
def test_every_long_job_has_a_plan_that_grows_with_its_sizes(job, tmp_path):
    model = config(tmp_path, GEMMA)
    grown = {
        "dictionary train": {"steps": 20_000},
        "circuit trace": {"context": 1024},
        "persona finetune": {"steps": 500},
    }
    small = planned(job, model, gpus="8xH100", rows=100)
    large = planned(job, model, gpus="8xH100", **{"rows": 1000, **grown.get(job, {})})
    assert 0 < small.seconds < large.seconds
    assert small.memory_bytes > 0
    assert "data sheet" in small.source


def test_a_gate_is_planned_with_the_answers_that_a_gate_writes(tmp_path):
    """Its default policy, one trait of 20 questions, 100 rows of data and 350 ordinary ones."""
    policy = GatePolicy()
    behaviour, shift = 2 * 20 * policy.behaviour.samples, 2 * 20
    alarms = policy.alarms.calibrating + 2 * policy.alarms.watched
    gate = planned("gate run", config(tmp_path, GEMMA), gpus="8xH100", rows=100)
    written = next(phase.work for phase in gate.phases if phase.name == "answers")
    assert written.startswith(f"{behaviour + shift + alarms + 100 + 350:,} answers of 64 tokens")
    assert [part.name for part in gate.memory][1] == "weights of 2 models"
    screened = planned("persona screen", config(tmp_path, GEMMA), gpus="8xH100", rows=100)
    assert gate.memory[1].bytes == 2 * screened.memory[1].bytes


def test_an_unknown_job_or_card_is_refused_in_one_line():
    with pytest.raises(DataError, match="there is no plan for 'persona dance'"):
        PlanSpec(job="persona dance", model="organism")
    for typed, job in (("gate", "gate run"), ("mindscope persona  extract", "persona extract")):
        assert PlanSpec(job=typed, model="organism").job == job
    with pytest.raises(DataError, match="--gpus 8xH1000: write 8xH100"):
        parse_cards("8xH1000")
    assert (parse_cards("4 x a100").count, parse_cards("A100").name) == (4, "A100")


def test_the_longest_answers_are_longer_than_the_mean_and_no_longer_than_allowed():
    assert find_longest(100, 1, 1000) == 100
    assert 300 < find_longest(100, 512, 1000) < 700
    assert find_longest(100, 512, 200) == 200
    assert find_longest(1000, 512, 1000) == 1000


def work(plan: JobPlan) -> float:
    """Seconds of what grows with a job's sizes."""
    return sum(phase.seconds for phase in plan.phases if phase.name not in OPENING)


@pytest.mark.slow
def test_a_plan_for_this_machine_is_measured_and_kept(tmp_path, monkeypatch):
    """A small model of the configuration is timed; what the machine does is measured once."""
    monkeypatch.setenv("MINDSCOPE_CACHE", str(tmp_path / "cache"))
    first = planned("dictionary record", config(tmp_path, TINY), rows=10, context=32)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache" / "plan").iterdir()}
    again = planned("dictionary record", config(tmp_path, TINY), rows=1000, context=32)
    assert first.source == again.source == "a few passes measured here"
    assert 10 * work(first) < work(again)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "cache" / "plan").iterdir()} == kept
    assert len(kept) == 2  # the machine, and what a start of this job takes
    names = [part.name for part in first.memory]
    assert names[:2] == ["process", "weights"]
    assert first.memory[0].bytes > 100e6
    assert first.disk_bytes == 4 * 10 * 32 * 32 * 2


@pytest.mark.slow
def test_a_start_and_what_follows_the_work_are_part_of_a_plan(tmp_path, monkeypatch):
    """Of a graph the page, of an evaluation the job's own measures: none may be missing, nor free."""
    monkeypatch.setenv("MINDSCOPE_CACHE", str(tmp_path / "cache"))
    model, sizes = config(tmp_path, TINY), {"n_latents": 64, "k": 4, "context": 24}
    graph = planned("circuit trace", model, nodes=150, **sizes)
    assert [phase.name for phase in graph.phases] == [
        "start", "loading the model", "loading transcoders", "tracing", "graph and page",
    ]  # fmt: skip
    assert all(phase.seconds > 0 for phase in graph.phases)
    few, many = (planned("dictionary evaluate", model, rows=n, **sizes) for n in (40, 400))
    assert [phase.name for phase in few.phases] == [
        "start", "loading the model", "a first look", "loading dictionaries", "rows", "reading and splicing",
    ]  # fmt: skip
    reading = [plan.phases[-1].seconds for plan in (few, many)]
    assert reading[0] > 0
    assert few.phases[2].seconds > reading[0] / 40 * 2  # it was tried on two rows at least, three times


def test_random_transcoders_are_as_active_as_asked(tmp_path):
    import torch

    hf, tokenizer = build_stand_in(config(tmp_path, TINY), torch.float32)
    model = Model.wrap(hf, tokenizer, name="tiny")
    row = build_row(model, CALIBRATED)
    for active in (3, 20, 64):
        dictionary = build_random_transcoders(model, CoderSize(32, 64, active, 32), 2)
        reads = {str(layer): Read(f"mlp_in.{layer}", Raw("all")) for layer in range(2)}
        read = model.read([row], reads)
        x = torch.cat([torch.as_tensor(read[str(layer)].values[0]) for layer in range(2)], dim=1)
        n_active = len(dictionary.encode(x).values) / CALIBRATED / 2
        assert n_active == pytest.approx(active, rel=0.05)


@pytest.mark.parametrize("causal", [False, True])
def test_a_crosscoder_has_the_weights_that_are_planned_for(causal):
    """Weakly causal, each layer's latents read it and write it and those behind it."""
    reads = tuple(f"resid_post.{layer}" for layer in range(3))
    config = DictionaryConfig(name="x", kind="crosscoder", reads=reads, n_latents=10, k=2, causal=causal)
    sites = [Site(name, 8) for name in reads]
    trainer = DictionaryTrainer(config, sites, sites, steps=10)
    n_weights = sum(part.numel() for part in trainer.weights.parameters() if part.dim() > 1)
    assert n_weights == count_weights("crosscoder", 3, 10, 8, causal=causal)


def test_a_weakly_causal_crosscoder_is_planned_as_one(tmp_path):
    model, sizes = config(tmp_path, GEMMA), {"gpus": "8xH100", "n_latents": 4096}
    acausal = planned("dictionary train", model, kind="crosscoder", **sizes)
    causal = planned("dictionary train", model, kind="crosscoder", causal=True, **sizes)
    clt = planned("dictionary train", model, kind="clt", **sizes)
    trained = [
        next(part.bytes for part in plan.memory if "moments" in part.name) for plan in (acausal, causal, clt)
    ]
    layers = 26
    assert trained[1] / trained[0] == pytest.approx((layers + layers * (layers + 1) / 2) / (2 * layers))
    assert trained[1] == trained[2]
    assert causal.seconds > acausal.seconds
