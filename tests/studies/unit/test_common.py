"""What studies share: a claim says in a word whether it holds."""

from mindscope.stats import RateEstimate
from mindscope.studies.common import begin_page, claim_rows
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
