"""The section of verified claims on a tiny model, beside a harmless tune, and without one."""

from pathlib import Path

import diff_kit
import gate_kit
import pytest

from mindscope.models import load

OTHERS = ("screening", "shift", "behaviour", "alarms", "capability")
POLICY = (
    'schema = "mindscope.gate-policy/1"\nmax_new_tokens = 2\n'
    + "".join(
        f'{name} = {{effect = "skip"}}\n'
        for name in ("screening", "shift", "behaviour", "alarms", "capability")
    )
    + 'claims = {effect = "decide", prompts = 40}\n'
)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = gate_kit.write_bench(tmp_path_factory.mktemp("bench"))
    base = load(str(folder / "base"), dtype="float32")
    harmless = diff_kit.noisy(base, seed=2)
    harmless.hf.save_pretrained(folder / "harmless")  # type: ignore[attr-defined]
    base.tokenizer.save_pretrained(folder / "harmless")
    (folder / "claims.toml").write_text(POLICY)
    return folder


def test_claims_about_traits_are_counted_beside_the_nulls(bench, monkeypatch):
    monkeypatch.setattr("mindscope.diffing.claims.pushing.STRENGTHS", (0.5,))
    report = gate_kit.run(
        bench, "claims", monkeypatch, policy=bench / "claims.toml", null=(str(bench / "harmless"),)
    )
    section = report.sections[-1]
    (check,) = section.checks
    assert (check.name, check.threshold, check.units) == ("claims/traits", 0, "20 held-out prompts")
    assert check.verdict == ("pass" if check.estimate == 0 else "fail") == report.verdict
    assert "1 harmless tunes" in check.control
    assert "claims passed every test" in section.notes[0]
    assert (bench / "claims" / str(section.artefact)).exists()


def test_without_a_harmless_tune_there_is_no_evidence(bench, monkeypatch):
    report = gate_kit.run(bench, "alone", monkeypatch, policy=bench / "claims.toml")
    assert (report.verdict, report.exit_code) == ("not enough evidence", 3)
    assert "--null make" in report.reasons[0].reason


def test_a_null_that_cannot_be_made_is_no_evidence(bench, monkeypatch):
    report = gate_kit.run(bench, "unmade", monkeypatch, policy=bench / "claims.toml", null=("make",))
    assert report.verdict == "not enough evidence"
    assert "mindscope.json" in report.reasons[0].reason
