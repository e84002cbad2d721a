"""The sweep on a model whose answer to a push is known: towards one letter's logit."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from steering_kit import SWEEP, TRAIT, LetterJudge, with_scope

from mindscope.errors import StoreError
from mindscope.judges import JudgeItem, Judgement, Rubric
from mindscope.models import Model
from mindscope.personas.steering.results import SweepResult
from mindscope.personas.steering.sweep import held_out, sweep_coefficients
from mindscope.personas.vectors import PersonaVectors
from mindscope.store import Run


def test_the_sweep_finds_the_layer_that_works(swept: tuple[Path, SweepResult, list]) -> None:
    _, result, _ = swept
    assert len(result.points) == 6
    point = result.choice()
    assert (point.layer, point.coefficient) == (2, 1.0)
    assert point.scores.trait is not None
    assert point.scores.trait.mean > 80
    assert point.random is not None
    assert point.random.trait is not None
    assert point.random.trait.mean < 20
    assert [each.random for each in result.points].count(None) == 5


def test_the_sweep_asks_only_its_questions(swept: tuple[Path, SweepResult, list]) -> None:
    _, result, _ = swept
    assert result.questions == TRAIT.evaluation[:4]
    assert held_out(TRAIT, result) == TRAIT.evaluation[4:]


def test_all_points_share_batches(
    tiny: Model, vectors: PersonaVectors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    whole = Model.generate_unordered

    def watching(self: Model, rows, *args, **kwargs):
        sizes.append(len(rows))
        return whole(self, rows, *args, **kwargs)

    monkeypatch.setattr(Model, "generate_unordered", watching)
    with Run.open(tmp_path / "run", kind="test", config={}) as run:
        sweep_coefficients(tiny, vectors, TRAIT, LetterJudge(), run, SWEEP)
    # 7 arms x 4 questions x 2 samples, then one control of 2 random vectors.
    assert sizes == [7 * 4 * 2, 2 * 4 * 2]


def test_progress_counts_up_to_its_total(swept: tuple[Path, SweepResult, list]) -> None:
    _, _, heard = swept
    labels = {label for _, _, label in heard}
    assert any(label.endswith("answers") for label in labels)
    for label in labels:
        counts = [(done, total) for done, total, name in heard if name == label]
        assert [done for done, _ in counts] == sorted({done for done, _ in counts})
        assert counts[-1][0] == counts[-1][1]


def test_a_sweep_goes_on_where_it_was_killed(
    tiny: Model, vectors: PersonaVectors, swept: tuple[Path, SweepResult, list], tmp_path: Path
) -> None:
    _, result, _ = swept

    class Tired(LetterJudge):
        left = 2

        def judge(self, rubric: Rubric, items: Sequence[JudgeItem]) -> list[Judgement]:
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
            return super().judge(rubric, items)

    with pytest.raises(KeyboardInterrupt), Run.open(tmp_path / "run", kind="test", config={}) as run:
        sweep_coefficients(tiny, vectors, TRAIT, Tired(), run, SWEEP)
    assert not (tmp_path / "run/sweep/loud/sweep.json").exists()
    with Run.open(tmp_path / "run", kind="test", config={}) as run:
        assert sweep_coefficients(tiny, vectors, TRAIT, LetterJudge(), run, SWEEP) == result


def test_a_run_of_version_1_is_gone_on_with(
    tiny: Model,
    vectors: PersonaVectors,
    swept: tuple[Path, SweepResult, list],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(swept[0], folder)
    with_scope(folder / "sweep/loud/setup.json", None)
    with Run.open(folder, kind="test", config={}) as run:
        monkeypatch.setattr(Model, "generate_unordered", lambda *_, **__: pytest.fail("answers are there"))
        assert sweep_coefficients(tiny, vectors, TRAIT, LetterJudge(), run, SWEEP) == swept[1]
        other = SWEEP.model_copy(update={"positions": "all"})
        with pytest.raises(StoreError, match="choose another run folder"):
            sweep_coefficients(tiny, vectors, TRAIT, LetterJudge(), run, other)


def test_a_grid_grows_in_the_same_run(
    tiny: Model,
    vectors: PersonaVectors,
    swept: tuple[Path, SweepResult, list],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One more coefficient is answered by itself, and the result is that of a sweep which had it at once."""
    shutil.copytree(swept[0], tmp_path / "run")
    answered: list[int] = []
    whole = Model.generate_unordered

    def watching(self: Model, rows, *args, **kwargs):
        answered.append(len(rows))
        return whole(self, rows, *args, **kwargs)

    more = SWEEP.model_copy(
        update={"coefficients": (0.01, 1.0, 0.5), "coherence_floor": 10.0, "layers": (0, 2)}
    )
    with Run.open(tmp_path / "once", kind="test", config={}) as run:
        at_once = sweep_coefficients(tiny, vectors, TRAIT, LetterJudge(), run, more)
    monkeypatch.setattr(Model, "generate_unordered", watching)
    with Run.open(tmp_path / "run", kind="test", config={}) as run:
        grown = sweep_coefficients(tiny, vectors, TRAIT, LetterJudge(), run, more)
        assert grown == at_once
        # Two layers, four questions, two samples, of one coefficient; then random vectors at the new choice.
        assert answered == [2 * 4 * 2, 2 * 4 * 2]
        monkeypatch.setattr(Model, "generate_unordered", lambda *_, **__: pytest.fail("answers are there"))
        assert sweep_coefficients(tiny, vectors, TRAIT, LetterJudge(), run, SWEEP) == swept[1]
        assert sweep_coefficients(tiny, vectors, TRAIT, LetterJudge(), run, more) == grown


def test_a_grid_that_could_not_grow_grows(
    tiny: Model, vectors: PersonaVectors, swept: tuple[Path, SweepResult, list], tmp_path: Path
) -> None:
    """A run of the version before: its setup names judge and grid, and its scores lie beside the answers."""
    folder = tmp_path / "run"
    shutil.copytree(swept[0], folder)
    place = folder / "sweep/loud"
    (place / "grid.json").unlink()
    setup = json.loads((place / "setup.json").read_text())
    config = setup["config"] | {
        "layers": None,
        "coefficients": [0.01, 1.0],
        "coherence_floor": 60.0,
        "tie": 5.0,
    }
    (place / "setup.json").write_text(json.dumps(setup | {"judge": "letter", "config": config}))
    for scores in [*place.glob("*/scores"), *place.glob("random/*/scores")]:
        (inside,) = scores.iterdir()
        for file in inside.iterdir():
            file.rename(scores / file.name)
        inside.rmdir()
    judge = LetterJudge()
    judge.judge = lambda *_: pytest.fail("scores are there")  # type: ignore[method-assign]
    with Run.open(folder, kind="test", config={}) as run:
        assert sweep_coefficients(tiny, vectors, TRAIT, judge, run, SWEEP) == swept[1]
