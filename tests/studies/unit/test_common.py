"""What studies share: a piece is measured once, and a claim says in a word whether it holds."""

from pathlib import Path

import pytest

from mindscope.errors import StoreError
from mindscope.stats import RateEstimate
from mindscope.store import Run
from mindscope.studies.common import Claim, begin_page, claim_rows, measure_once
from mindscope.studies.llm_biology import CaseResult, CaseVerdict


def test_a_piece_is_measured_once_and_a_foreign_file_is_refused(tmp_path: Path) -> None:
    calls: list[int] = []

    def measure() -> RateEstimate:
        calls.append(1)
        return RateEstimate.of([True, False])

    with Run.open(tmp_path / "run", kind="study", config={}) as run:
        first = measure_once(run, "rates/a.json", RateEstimate, measure)
        assert measure_once(run, "rates/a.json", RateEstimate, measure) == first
        assert len(calls) == 1
        with pytest.raises(StoreError, match="delete it to measure it again"):
            measure_once(run, "rates/a.json", Claim, lambda: pytest.fail("it is there already"))


def test_a_claim_is_a_row_with_what_was_measured_beside_it() -> None:
    verdict = CaseVerdict(claim="it flips", needed=0.8, rate=RateEstimate.of([True] * 20))
    case = CaseResult(
        family="sums", title="Sums", verdicts=(verdict, CaseVerdict(claim="so", rate=verdict.rate))
    )
    shown, reported = case.claims()
    assert (shown.needed, shown.verdict, reported.needed, reported.verdict) == (
        "more than 80% of held-out prompts", "yes", None, "reported",
    )  # fmt: skip
    rows = claim_rows([shown], "subject", "statement", "random features", "verdict")
    assert rows == [["sums", "it flips", None, "yes"]]


def test_a_note_stands_at_the_head_of_a_page() -> None:
    assert "mind this" in begin_page("A study", "of a model", "mind this").html()
