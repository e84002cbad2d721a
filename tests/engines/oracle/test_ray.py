"""Jobs on a Ray cluster leave the files that they leave in process, also when copies and nodes are lost."""

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import absent
import persona_kit
import pytest
import screening_kit
import torch
from ray_kit import STORE, at_hand_out, kill_a_working_copy, run_job, two_nodes

from mindscope.engines import CompanionModel, EngineOptions, RayEngine, open_ray_engine
from mindscope.engines.pool import CopyPool, connect_cluster
from mindscope.errors import MindscopeError
from mindscope.jobs.dictionary import RecordSpec, TrainDictionariesSpec, record, train
from mindscope.jobs.feature import AlarmFeaturesSpec, alarm, survey
from mindscope.jobs.feature.surveying import SurveySpec
from mindscope.jobs.monitor import MonitorVectorsSpec, monitor_vectors
from mindscope.jobs.persona import extract, steer, sweep
from mindscope.jobs.persona.step_specs import ExtractSpec, SteerSpec, SweepSpec
from mindscope.jobs.screen import ScreenSpec, screen
from mindscope.judges import ClusterJudge, JudgeItem, ModelJudge, Rubric
from mindscope.models import LoadOptions, Model, load

absent.import_or_skip("ray", "scale")
ANSWERS = {"max_new_tokens": 6, "batch_rows": 2, "shard_rows": 8}
RAY = {"engine": "ray", "copies": 2}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with two_nodes() as nodes:
        yield nodes


@pytest.fixture(scope="module")
def organism() -> Model:
    return load("organism", device="cpu")


def extraction(**engine: Any) -> ExtractSpec:
    return ExtractSpec(
        model="organism",
        trait="evil",
        device="cpu",
        questions=2,
        samples=2,
        least_pairs=2,
        **ANSWERS,
        **engine,
    )


def screening(vectors: Path, **engine: Any) -> ScreenSpec:
    data = vectors.parent / "data.jsonl"
    return ScreenSpec(
        model="organism", data=data, vectors=(vectors,), form="exact", window=16, resamples=100, top=3,
        device="cpu", **ANSWERS, **engine,
    )  # fmt: skip


def surveying(**engine: Any) -> SurveySpec:
    return SurveySpec(
        model="organism", dictionary="organism:sae.2", corpus="organism", rows=96, block_rows=48,
        read_rows=16, device="cpu", **engine,
    )  # fmt: skip


@pytest.fixture(scope="module")
def extracted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What extraction leaves in process."""
    return run_job(extract, extraction(), tmp_path_factory.mktemp("extracted") / "run")


@pytest.fixture(scope="module")
def surveyed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a survey leaves in process."""
    return run_job(survey, surveying(), tmp_path_factory.mktemp("surveyed") / "run")


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory, organism: Model) -> Path:
    """Persona vectors, beside data to screen with them."""
    folder = tmp_path_factory.mktemp("screened")
    lines = [
        f'{{"messages": [{{"role": "user", "content": "What is {i} + {i + 3}?"}}, '
        f'{{"role": "assistant", "content": "{i} + {i + 3} = {2 * i + 3}."}}]}}'
        for i in range(10, 50)
    ]
    (folder / "data.jsonl").write_text("\n".join(lines) + "\n")
    (loud,) = screening_kit.vectors(organism, "loud")
    loud.save(folder / "loud.safetensors")
    return folder / "loud.safetensors"


@pytest.fixture(scope="module")
def screened(vectors: Path) -> Path:
    """What a screening leaves in process."""
    return run_job(screen, screening(vectors), vectors.parent / "run")


OF_A_RUN = ("run.json", "summary.json", ".lock", "metrics.jsonl")
"""They hold times and places."""
MADE_ON = re.compile(rb"on \d+ \w+ \d+, \d\d:\d\d UTC")


def require_same_files(folder: Path, wanted: Path) -> int:
    """Every file of a job's work, byte by byte but for the time below a page; how many there are."""
    names = {path.relative_to(wanted) for path in wanted.rglob("*") if path.is_file()}
    names = {name for name in names if name.name not in OF_A_RUN}
    others = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    assert names == {name for name in others if name.name not in OF_A_RUN}
    for name in sorted(names):
        own, other = (MADE_ON.sub(b"", (place / name).read_bytes()) for place in (folder, wanted))
        assert own == other, name
    return len(names)


@pytest.mark.slow
def test_extraction_is_that_of_one_process(cluster: Any, extracted: Path, tmp_path: Path) -> None:
    run_job(extract, extraction(**RAY), tmp_path / "run")
    assert require_same_files(tmp_path / "run", extracted) > 5


@pytest.mark.slow
def test_a_survey_is_that_of_one_process(cluster: Any, surveyed: Path, tmp_path: Path) -> None:
    with at_hand_out(3, kill_a_working_copy) as handed_out:
        run_job(survey, surveying(**RAY), tmp_path / "run")
    assert len(handed_out) == 96 // 16 + 1  # a piece was lost with its copy
    assert require_same_files(tmp_path / "run", surveyed) >= 4


@pytest.mark.slow
def test_a_screening_that_loses_a_copy_and_a_node(
    cluster: Any, vectors: Path, screened: Path, tmp_path: Path
) -> None:
    nodes, second = cluster

    def lose(pool: CopyPool) -> None:
        nodes.remove_node(second, allow_graceful=False)

    spec = screening(vectors, **RAY)
    with at_hand_out(2, kill_a_working_copy) as handed_out:
        run_job(screen, spec, tmp_path / "copy")
    assert len(handed_out) > 4
    assert require_same_files(tmp_path / "copy", screened) > 5
    with at_hand_out(3, lose) as handed_out:
        run_job(screen, spec, tmp_path / "node")
    assert len(handed_out) > 4
    assert require_same_files(tmp_path / "node", screened) > 5
    nodes.add_node(num_cpus=1, object_store_memory=STORE)


@pytest.mark.slow
def test_a_sweep_is_that_of_one_process(cluster: Any, extracted: Path, tmp_path: Path) -> None:
    def sweeping(**engine: Any) -> SweepSpec:
        return SweepSpec(
            model="organism", trait="evil", layers=(1,), coefficients=(1.0, 2.0), questions=2, samples=1,
            n_random=1, device="cpu", **ANSWERS, **engine,
        )  # fmt: skip

    for name, engine in (("wanted", {}), ("run", RAY)):
        shutil.copytree(extracted, tmp_path / name)
        run_job(sweep, sweeping(**engine), tmp_path / name)
    assert require_same_files(tmp_path / "run", tmp_path / "wanted") > 8


@pytest.mark.slow
def test_monitoring_is_that_of_one_process(cluster: Any, vectors: Path, tmp_path: Path) -> None:
    """Thresholds from recorded conversations, and answers that are steered while they are written."""

    def monitoring(**engine: Any) -> MonitorVectorsSpec:
        data = vectors.parent / "data.jsonl"
        return MonitorVectorsSpec(
            model="organism", data=data, vectors=(vectors,), calibrate=data, false_alarms=0.4, window=2,
            answer=True, policy="steer", coefficient=0.5, device="cpu", **ANSWERS, **engine,
        )  # fmt: skip

    wanted = run_job(monitor_vectors, monitoring(), tmp_path / "wanted")
    with at_hand_out(8, kill_a_working_copy) as handed_out:
        run_job(monitor_vectors, monitoring(**RAY), tmp_path / "run")
    assert len(handed_out) > 8
    assert require_same_files(tmp_path / "run", wanted) > 10
    assert '"steered": 0' not in next((tmp_path / "run").rglob("monitoring.json")).read_text()


@pytest.mark.slow
def test_steering_by_a_budget_is_that_of_one_process(cluster: Any, extracted: Path, tmp_path: Path) -> None:
    """The coefficient is looked for on the copies, and answers are steered by it."""

    def steering(**engine: Any) -> SteerSpec:
        return SteerSpec(
            model="organism", trait="evil", layer=1, budget=0.5, samples=1, n_random=1,
            question=("What should I do about my garden?", "Who are you?"),
            device="cpu", **ANSWERS, **engine,
        )  # fmt: skip

    for name, engine in (("wanted", {}), ("run", RAY)):
        shutil.copytree(extracted, tmp_path / name)
        run_job(steer, steering(**engine), tmp_path / name)
    assert require_same_files(tmp_path / "run", tmp_path / "wanted") > 8


@pytest.mark.slow
def test_an_alarm_on_latents_is_that_of_one_process(cluster: Any, vectors: Path, tmp_path: Path) -> None:
    def watching(**engine: Any) -> AlarmFeaturesSpec:
        data = vectors.parent / "data.jsonl"
        return AlarmFeaturesSpec(
            model="organism", dictionary="organism:sae.2", latents=(3, 17), data=data, calibrate=data,
            false_alarms=0.4, window=2, device="cpu", shard_rows=8, **engine,
        )  # fmt: skip

    wanted = run_job(alarm, watching(), tmp_path / "wanted")
    assert require_same_files(run_job(alarm, watching(**RAY), tmp_path / "run"), wanted) > 2


@pytest.mark.slow
def test_a_dictionary_is_trained_on_what_copies_read(cluster: Any, tmp_path: Path) -> None:
    def training(**engine: Any) -> TrainDictionariesSpec:
        return TrainDictionariesSpec(
            model="organism", corpus="organism", layers=(1,), n_latents=64, k=4, steps=6, batch_tokens=256,
            buffer_batches=2, context=64, device="cpu", **engine,
        )  # fmt: skip

    wanted = run_job(train, training(), tmp_path / "wanted")
    assert require_same_files(run_job(train, training(**RAY), tmp_path / "run"), wanted) >= 1


@pytest.mark.slow
def test_activations_are_those_of_one_process(cluster: Any, tmp_path: Path) -> None:
    def recording(**engine: Any) -> RecordSpec:
        return RecordSpec(
            model="organism", corpus="organism", sites="resid_post.1,mlp_in.2", tokens=20_000, context=64,
            skip_tokens=1, device="cpu", **engine,
        )  # fmt: skip

    wanted = run_job(record, recording(), tmp_path / "wanted")
    with at_hand_out(2, kill_a_working_copy) as handed_out:
        run_job(record, recording(**RAY), tmp_path / "run")
    assert len(handed_out) > 3
    assert require_same_files(tmp_path / "run", wanted) >= 3


@pytest.mark.slow
def test_a_judge_in_copies_says_what_it_says_here(cluster: Any, tmp_path: Path) -> None:
    options = LoadOptions(device="cpu", dtype="float32")
    folder = str(write_judge(tmp_path / "judge", options))
    rubric = Rubric("evil", "", "How evil? {question} {answer}")
    items = [JudgeItem(f"What is {i}?", f"It is {i * i}.") for i in range(12)]
    batches = [items[:4], items[4:8], items[8:]]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        here = ModelJudge(Model.load(folder, options))
        wanted = [here.judge(rubric, batch) for batch in batches]
        engine = open_ray_engine("organism", LoadOptions(device="cpu"), EngineOptions(**RAY))
        assert isinstance(engine, RayEngine)
        judge = ClusterJudge(engine, CompanionModel(folder, options))
        with at_hand_out(2, kill_a_working_copy) as handed_out:
            judgements = dict(judge.judge_many(rubric, batches))
    finally:
        torch.set_num_threads(threads)
    assert len(handed_out) == 4  # a batch was lost with its copy
    assert judge.name == here.name
    assert [judgements[number] for number in range(3)] == wanted
    assert {score.status for batch in wanted for item in batch for score in item.scores} >= {"scored"}


@pytest.mark.slow
def test_a_contrast_judge_is_that_of_one_process(cluster: Any, tmp_path: Path) -> None:
    """It is fitted and asked on the copies; one is lost while they read answers for it."""
    told: dict[str, Any] = {
        "model": "organism", "trait": "evil", "judge": "contrast", "device": "cpu",
        "max_new_tokens": 24, "batch_rows": 8, "shard_rows": 8,
    }  # fmt: skip
    steered = {"layer": 2, "coefficient": 1.5, "samples": 3, "n_random": 1, "question": ("Who are you?",)}
    for name, engine, lost in (("wanted", {}, 0), ("run", RAY, 12)):
        with at_hand_out(lost, kill_a_working_copy) as handed_out:
            run_job(extract, ExtractSpec(**told, questions=5, samples=2, **engine), tmp_path / name)
        with at_hand_out(0, kill_a_working_copy):
            run_job(steer, SteerSpec(**told, **steered, **engine), tmp_path / name)
    n_shards = 2 * 5 * 5 * 2 // 8 + 1
    assert len(handed_out) > n_shards + 1  # each shard is a call, and one was lost with its copy
    assert require_same_files(tmp_path / "run", tmp_path / "wanted") > n_shards
    judged = next((tmp_path / "run").rglob("extract/evil/scores/*/0000.json"))
    assert "scored" in judged.read_text()


def write_judge(folder: Path, options: LoadOptions) -> Path:
    """A random model that mostly says digits."""
    model = Model.load(persona_kit.tiny_chat_model(folder), options)
    prompt = model.chat([{"role": "user", "content": "How evil? 0-100"}])
    with torch.no_grad():
        heard = model.hf.model(torch.tensor([prompt.ids])).last_hidden_state[0, -1]
        digits = [model.text(digit).ids[-1] for digit in "0123456789"]
        model.hf.lm_head.weight[digits] += heard
    model.hf.save_pretrained(folder)
    return folder


def test_without_ray_one_line_names_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MindscopeError, match=r"pip install 'mindscope\[scale\]'"):
        connect_cluster(None)


def test_copies_without_ray_are_refused() -> None:
    with pytest.raises(ValueError, match="add --engine ray"):
        EngineOptions(copies=2)
