"""Whether the data that is screened is what the model was tuned on, as far as that is written down."""

from __future__ import annotations

from mindscope.finetuning import TuningCard, build_examples
from mindscope.gate.checking import no_evidence
from mindscope.gate.preparing import GateBench
from mindscope.gate.results import GateCheck, GateSection

NAME = "provenance/data"
STATEMENT = "the data is what the model was tuned on, as the tuned model's mindscope.json names it"


def check_provenance(bench: GateBench) -> GateSection:
    """The digest of the conversations that the tuner wrote down, against that of the data given.

    A model that mindscope did not tune says nothing of its data: then there is no check, and a note says so.
    """
    card = TuningCard.find(bench.spec.tuned)
    if card is None:
        note = f"nothing beside {bench.tuned.name} says what it was tuned on: the data is taken on trust"
        return GateSection(name="provenance", decides=False, checks=(), notes=(note,))
    examples = build_examples(
        bench.data,
        bench.base,
        turns=card.config.turns,
        max_tokens=card.config.max_tokens,
        inoculation=card.config.inoculation,
        on_error="skip",
    )
    if examples.digest == card.data.sha256:
        check = GateCheck(
            name=NAME,
            statement=STATEMENT,
            estimate=None,
            low=None,
            high=None,
            threshold=None,
            units=f"{card.data.rows} conversations",
            verdict="pass",
            reason="the digests are the same",
        )
    else:
        check = no_evidence(
            NAME,
            STATEMENT,
            f"it was tuned on {card.data.rows} other conversations ({card.data.sha256[:12]}): give those",
        )
    return GateSection(name="provenance", decides=True, checks=(check,))
