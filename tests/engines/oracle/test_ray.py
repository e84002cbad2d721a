"""Jobs on a Ray cluster leave the files that they leave in process, also when copies and nodes are lost."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import absent
import pytest
import screening_kit
from ray_kit import STORE, at_hand_out, kill_a_working_copy, run_job, two_nodes

from mindscope.engines import EngineOptions
from mindscope.engines.pool import CopyPool, connect_cluster
from mindscope.errors import MindscopeError
from mindscope.jobs.feature import survey
from mindscope.jobs.feature.surveying import SurveySpec
from mindscope.jobs.persona import extract
from mindscope.jobs.persona.step_specs import ExtractSpec
from mindscope.jobs.screen import ScreenSpec, screen
from mindscope.models import Model, load

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


def test_without_ray_one_line_names_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MindscopeError, match=r"pip install 'mindscope\[scale\]'"):
        connect_cluster(None)


def test_copies_without_ray_are_refused() -> None:
    with pytest.raises(ValueError, match="add --engine ray"):
        EngineOptions(copies=2)
