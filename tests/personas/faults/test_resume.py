"""A run that is gone on with in another way: other batches, other shards, more samples."""

from pathlib import Path

import persona_kit
import pytest
import torch

from mindscope.models import Model
from mindscope.personas import ExtractConfig, PersonaVectors, SteerConfig, extract_vectors, measure_steering
from mindscope.store import Run

CONFIG = ExtractConfig(samples=2, max_new_tokens=8, shard_rows=6, batch_rows=2, least_pairs=2, resamples=20)


class CountingJudge(persona_kit.InstructionJudge):
    """Counts what it is asked."""

    n_asked = 0

    def judge(self, rubric, items):
        self.n_asked += len(items)
        return super().judge(rubric, items)


def extract(
    model: Model, folder: Path, judge: persona_kit.InstructionJudge, **changes: int
) -> PersonaVectors:
    with Run.open(folder, kind="test", config={}) as run:
        config = CONFIG.model_copy(update=changes)
        return extract_vectors(model, persona_kit.tiny_trait(), judge, run, config)


def stopped(model: Model, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """An extraction that ends after its second shard."""
    save = Run.save_json

    def stopping(run: Run, name: str, value: object) -> None:
        save(run, name, value)
        if name.endswith("answers/0001.json"):
            raise KeyboardInterrupt

    with patch.context() as context:
        context.setattr(Run, "save_json", stopping)
        with pytest.raises(KeyboardInterrupt):
            extract(model, folder, CountingJudge())


@pytest.mark.parametrize(
    "changes", [{"batch_rows": 5}, {"shard_rows": 8}, {"batch_rows": 1, "shard_rows": 2}]
)
def test_other_batches_and_shards_go_on_from_what_is_there(
    tiny: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, int]
) -> None:
    whole = extract(tiny, tmp_path / "whole", CountingJudge())
    stopped(tiny, tmp_path / "run", monkeypatch)
    kept = (tmp_path / "run/extract/loud/answers/0000.json").stat().st_mtime_ns
    resumed = extract(tiny, tmp_path / "run", CountingJudge(), **changes)
    assert (tmp_path / "run/extract/loud/answers/0000.json").stat().st_mtime_ns == kept
    for kind, matrix in whole.matrices.items():
        assert torch.allclose(matrix, resumed.matrices[kind], atol=1e-5)


def test_more_samples_add_to_the_answers_and_scores_that_are_there(tiny: Model, tmp_path: Path) -> None:
    first, second, fresh = CountingJudge(), CountingJudge(), CountingJudge()
    few = extract(tiny, tmp_path / "run", first)
    more = extract(tiny, tmp_path / "run", second, samples=5)
    whole = extract(tiny, tmp_path / "fresh", fresh, samples=5)
    assert few.filter is not None
    assert more.filter is not None
    assert (few.filter.pairs, more.filter.pairs) == (16, 40)
    # 32 answers are five full shards of six and a rest of two, which is judged with what joins it.
    assert (first.n_asked, second.n_asked, fresh.n_asked) == (32, 80 - 30, 80)
    for kind, matrix in whole.matrices.items():
        assert torch.allclose(matrix, more.matrices[kind], atol=1e-5)
    again = extract(tiny, tmp_path / "run", CountingJudge())  # and fewer again
    for kind, matrix in few.matrices.items():
        assert torch.allclose(matrix, again.matrices[kind], atol=1e-5)


def test_more_samples_of_a_steering_measurement_keep_those_of_each_question_together(
    tiny: Model, tmp_path: Path
) -> None:
    vectors = extract(tiny, tmp_path / "vectors", CountingJudge())
    config = SteerConfig(layer=1, coefficient=2.0, max_new_tokens=6, n_random=1, shard_rows=4, samples=1)
    judges, results = [CountingJudge(), CountingJudge()], []
    with Run.open(tmp_path / "run", kind="test", config={}) as run:
        for judge, samples in zip(judges, (1, 3), strict=True):
            measured = measure_steering(
                tiny,
                vectors,
                persona_kit.tiny_trait(),
                judge,
                run,
                config.model_copy(update={"samples": samples}),
                questions=["Why?", "How?"],
            )
            results.append(measured)
    asked = [sample.question for sample in results[-1].steered.samples]
    assert asked == ["Why?"] * 3 + ["How?"] * 3
    assert [judge.n_asked for judge in judges] == [8, 24 - 8]


def test_one_sample_is_greedy_and_ten_are_not_so_the_run_is_another(tiny: Model, tmp_path: Path) -> None:
    from mindscope.errors import StoreError

    extract(tiny, tmp_path / "run", CountingJudge(), samples=1)
    with pytest.raises(StoreError, match=r"another config \(temperature: 0.0 there, 1.0 now\)"):
        extract(tiny, tmp_path / "run", CountingJudge(), samples=2)
