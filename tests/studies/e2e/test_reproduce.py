"""The persona study from end to end, as small as it can be: stopped in the middle, resumed, and on a page."""

import pytest
import study_kit

import mindscope as ms
from mindscope.finetuning.config import FinetuneConfig
from mindscope.personas import ExtractConfig, SweepConfig
from mindscope.store import Run
from mindscope.studies.persona_vectors.claims import (
    CHOICE_CLAIM,
    DIFFERENCE_CLAIM,
    SHIFT_CLAIM,
    list_claims,
)
from mindscope.studies.persona_vectors.config import ReproduceConfig
from mindscope.studies.persona_vectors.report import claims_report
from mindscope.studies.persona_vectors.reproduce import PersonaReproduction, reproduce

CONFIG = ReproduceConfig(
    samples=1,
    max_new_tokens=48,
    extraction=ExtractConfig(samples=1, max_new_tokens=48),
    sweep=SweepConfig(layers=(2,), coefficients=(1.5,), max_new_tokens=48, questions=6, n_random=1),
    shots=(0, 2),
    rows=128,
    tuning=FinetuneConfig(learning_rate=5e-4, batch_rows=16, accumulation=1),
    projected_rows=20,
    prevent_one=(2.0,),
    prevent_all=(),
    against=(2.0,),
    pool_rows=40,
    chosen_rows=4,
    chosen_epochs=1,
)


def open_run(path) -> Run:
    model = ms.load("organism")
    config = CONFIG.model_dump(mode="json")
    return Run.open(path, kind="persona-claims", config=config, fingerprint=model.fingerprint)


def test_a_study_goes_on_where_it_was_stopped_and_finds_what_was_planted(tmp_path):
    stop_at = "prevention/evil-prevent-one-layer-2"

    def stop(_done: int, _total: int, label: str) -> None:
        if label == stop_at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), open_run(tmp_path / "run") as run:
        reproduce(study_kit.small_organism_bench(), run, CONFIG, stop)
    finished = {file: file.stat().st_mtime_ns for file in (tmp_path / "run" / "measured").rglob("*.json")}
    assert len(finished) == 1 + 1 + 2 + len(study_kit.SETS) + 1
    labels: list[str] = []
    counts: list[tuple[int, int]] = []

    def note(done: int, total: int, label: str) -> None:
        labels.append(label)
        counts.append((done, total))

    with open_run(tmp_path / "run") as run:
        made = reproduce(study_kit.small_organism_bench(), run, CONFIG, note)
        claims_report(made).write(run.path / "report.html")
    assert all(file.stat().st_mtime_ns == time for file, time in finished.items())
    assert stop_at in labels
    assert counts[-1][0] == counts[-1][1] - 1  # announced before it is made: the last of all
    made.save(tmp_path / "claims.json")
    assert PersonaReproduction.load(tmp_path / "claims.json") == made
    by_name = {one.name: one.effects["evil"] for one in made.sets}
    assert by_name["evil-II"].difference > by_name["evil-normal"].difference + 10
    assert by_name["evil-II"].shift > by_name["sums-II"].shift + 10
    assert by_name["evil-II"].level.trait > 60 > 20 > by_name["evil-normal"].level.trait
    (prevention,) = made.prevention
    assert prevention.best_prevention().level.trait < 0.5 * prevention.unprevented.level.trait
    assert made.chosen[0].found["top"] >= 3 > made.chosen[0].found["bottom"]
    (reading,) = made.readings
    assert abs(reading.features[0].cosine) > 0.4
    assert reading.levels["the nearest feature"].trait > reading.levels["nothing"].trait + 20
    page = (tmp_path / "run" / "report.html").read_text()
    assert "the nearest feature" in page
    verdicts = {(claim.statement, claim.subject): claim.holds for claim in list_claims(made)}
    # Tuning on four samples of forty, once, is too little to tell the top from the bottom: it may fail here.
    del verdicts[CHOICE_CLAIM, "evil"]
    assert verdicts[SHIFT_CLAIM, "evil"]
    assert verdicts[DIFFERENCE_CLAIM, "evil"]
    assert verdicts["preventative steering keeps the trait away and the knowledge in", "evil"]
    assert all(verdicts.values()), verdicts
