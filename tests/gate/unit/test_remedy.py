"""Which remedy is taken, and for which traits."""

from types import SimpleNamespace

import pytest

from mindscope.gate.checking import check_mean, no_evidence
from mindscope.gate.remedy import choose_remedy, find_treated
from mindscope.gate.results import GateSection, RemedyArm
from mindscope.stats import Estimate


def arm(name: str, rise: float, learnt: float | None = None, lost: float = 0.0) -> RemedyArm:
    """An arm under which a trait rises, of which ten points are allowed."""
    return RemedyArm(
        name=name,  # type: ignore[arg-type]
        about="",
        rows=100,
        checks=(
            check_mean("behaviour/evil", "", [rise] * 16, 10.0, "questions"),
            check_mean("behaviour/evil/coherence", "", [0.0] * 16, 10.0, "questions"),
            check_mean("capability/knowledge", "", [lost] * 16, 10.0, "questions"),
        ),
        learnt=None if learnt is None else Estimate(mean=learnt, low=learnt, high=learnt),
    )


def test_the_passing_arm_that_learnt_most_is_taken():
    arms = [arm("nothing", 80, 0.4), arm("prevent", 4, 0.3), arm("caft", 1, 0.1), arm("penalty", 50, 0.4)]
    chosen, why = choose_remedy(arms)
    assert chosen == "prevent"
    assert "learnt most" in why


def test_an_arm_that_costs_knowledge_does_not_pass():
    assert choose_remedy([arm("nothing", 80), arm("prevent", 0, lost=30.0), arm("caft", 8)])[0] == "caft"


def test_without_a_rest_the_lowest_rise_is_taken():
    chosen, why = choose_remedy([arm("nothing", 80), arm("prevent", 4), arm("caft", 1)])
    assert chosen == "caft"
    assert "too little of the data" in why


def test_where_nothing_passes_nothing_is_needed():
    assert choose_remedy([arm("nothing", 2), arm("prevent", 1, 0.5)])[0] == "nothing"


def test_where_no_arm_passes_none_is_taken_and_the_closest_is_named():
    unmade = RemedyArm(name="drop", about="only 3 of 400 samples are not flagged", rows=0)
    chosen, why = choose_remedy([arm("nothing", 80), arm("prevent", 30), unmade])
    assert chosen is None
    assert "least under prevent, by 30.0 points" in why


@pytest.mark.parametrize(
    ("checks", "treated"),
    [
        # answers show one trait, though activations speak of two
        ([("behaviour/evil", 50.0), ("shift/evil", 50.0), ("shift/sly", 50.0)], ["evil"]),
        ([("behaviour/evil", 0.0), ("screening/sly", 50.0), ("alarms/evil", None)], ["sly"]),
        ([("behaviour/evil/coherence", 50.0)], []),
        ([("behaviour/evil", None), ("shift/sly", None), ("behaviour/calm", 0.0)], ["evil"]),
        ([("shift/sly", None), ("behaviour/calm", 0.0)], ["sly"]),
        ([("behaviour/calm", 0.0), ("capability/knowledge", 50.0)], []),
    ],
)
def test_traits_that_answers_show_are_treated_before_what_is_inside(checks, treated):
    made = [
        no_evidence(name, "", "nobody judges")
        if value is None
        else check_mean(name, "", [value] * 16, 10.0, "questions")
        for name, value in checks
    ]
    sections = [
        GateSection(name=check.name.split("/")[0], decides=True, checks=(check,))  # type: ignore[arg-type]
        for check in made
    ]
    traits = [SimpleNamespace(name=name) for name in ("evil", "sly", "calm")]
    assert [item.name for item in find_treated(traits, sections)] == treated  # type: ignore[arg-type]
    reported = [section.model_copy(update={"decides": False}) for section in sections]
    assert find_treated(traits, reported) == []  # type: ignore[arg-type]
