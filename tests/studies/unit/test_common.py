"""What studies share: a claim says in a word whether it holds."""

import pytest

from mindscope.stats import RateEstimate
from mindscope.studies.common import SeedEstimate, begin_page, claim_rows
from mindscope.studies.llm_biology import CaseResult, CaseVerdict


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


def test_an_interval_over_few_seeds_is_students_and_says_of_what():
    estimate = SeedEstimate.of([1.0, 2.0, 3.0])
    assert (estimate.mean, estimate.seeds) == (2.0, 3)
    assert estimate.high - estimate.mean == pytest.approx(4.302653 / 3**0.5, rel=1e-5)
    assert str(SeedEstimate.of([0.5, 0.5], "texts")) == "0.5 (0.5 to 0.5, 2 texts)"
    assert SeedEstimate.of([4.0]).low == 4.0
    with pytest.raises(ValueError, match="one seed or more"):
        SeedEstimate.of([])
