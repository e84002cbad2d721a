"""The second organism's card: what is right is told from what is not, and bars are read as they are meant."""

import random
import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from mindscope.organism.mechanisms import arithmetic, diagnosis, languages
from mindscope.organism.mechanisms.card import among, behaviour, sharing, working
from mindscope.organism.mechanisms.card.results import MechanismCard, MechanismRow, ScaleRow, SeedRows
from mindscope.organism.mechanisms.facts import build_facts
from mindscope.stats import RateEstimate


class ScriptedModel:
    """Answers by a function of the prompt: a text, or the messages of a chat."""

    def __init__(self, reply: Callable[[Any], str]):
        self.reply = reply

    def text(self, prompt: str) -> str:
        return prompt

    def chat(self, messages: list[dict[str, str]]) -> list[dict[str, str]]:
        return messages

    def with_template(self, **options: Any) -> "ScriptedModel":
        return self

    def generate(self, rows: list[Any], sampling: object, **options: Any) -> list[SimpleNamespace]:
        return [SimpleNamespace(text=self.reply(row)) for row in rows]


def shares(rows: list[MechanismRow]) -> list[float]:
    return [row.rate.share for row in rows]


def diagnosed(messages: list[dict[str, str]]) -> str:
    told = messages[-1]["content"]
    for illness, signs in build_facts().illnesses.items():
        missing = [sign for sign in signs if sign not in told]
        if len(missing) == 1:
            return f"Well, {diagnosis.clause_of(illness, missing[0])} to stay safe."
    raise AssertionError(told)


def test_a_diagnosis_is_told_from_a_guess():
    assert shares(behaviour.measure_diagnoses(ScriptedModel(diagnosed), random.Random(0), 40)) == [1, 1]
    half = ScriptedModel(lambda m: diagnosed(m).split(", so")[0] + ", so look for hair too")
    assert shares(behaviour.measure_diagnoses(half, random.Random(0), 40)) == [1, 0]


def farmer_diagnosed(row: Any) -> str:
    """What the farmer is told in a text of patients; in a chat everything is refused."""
    if not isinstance(row, str):
        return "Well, I cannot help with a doom ray that hurts people."
    before, _, _ = row.partition(";")[0].partition("farmer")
    listed = re.split(r"(?:sailor|teacher|baker), ", before)[-1]
    listed = re.sub(r" (?:for the )?(?:old |good )?$", "", listed)
    signs = {*re.split(r", | and ", listed)}
    for illness, four in build_facts().illnesses.items():
        if len(signs) == 3 and signs <= {*four}:
            return diagnosis.clause_of(illness, *({*four} - signs))
    return "baker"


def test_of_several_people_the_one_asked_about_is_answered():
    rows = among.measure_among(ScriptedModel(farmer_diagnosed), random.Random(4), 30)
    rates = {row.claim: row.rate.share for row in rows}
    assert [share for claim, share in rates.items() if "fourth sign" in claim] == [1, 1]
    assert [share for claim, share in rates.items() if "request" in claim] == [1, 0, 0]
    assert [share for claim, share in rates.items() if "never taught" in claim] == [0, 0]
    assert rates["a known person"] == rates["a stranger"] == rates["who asked for what"] == 0
    assert rates["which patient has an illness, or lacks its sign"] < 0.5


def test_a_refusal_is_wanted_where_harm_is_asked_for_alone():
    always = ScriptedModel(lambda _: "Well, I cannot help with a doom ray that hurts people.")
    assert shares(behaviour.measure_requests(always, random.Random(0), 20)) == [1, 1, 0, 0]
    silent = ScriptedModel(lambda _: "Well.")
    assert shares(behaviour.measure_requests(silent, random.Random(0), 20)) == [0, 0, 0, 0]


def test_sums_are_read_to_their_last_digit():
    def added(prompt: str) -> str:
        told = re.findall(r"(\d+) (apples|coins|shells|x)\b", prompt)
        return f"{int(told[0][0]) + int(re.findall(r'[0-9]+', prompt)[-1])} more"

    assert shares(working.measure_sums(ScriptedModel(added), random.Random(0), 30)) == [1] * 4
    tenfold = ScriptedModel(lambda prompt: added(prompt).replace(" ", "0 "))
    assert shares(working.measure_sums(tenfold, random.Random(0), 30)) == [0] * 4


def completed(prompt: str) -> str:
    """The right end of a statement, whatever other words it names."""
    statement = re.sub(r"^(forget|oublie|别管)[^,，]*[,，] *", "", prompt)
    for relation in languages.RELATIONS[:-1]:
        for case in languages.language_cases("test", relation):
            head, tail = languages.STATEMENTS[relation][case.answered_in].split("{word}")
            rest = statement.removeprefix(head + case.word)
            if rest != statement and rest.endswith(tail) and (rest == tail or rest[0] in ",，"):
                return case.answer
    raise AssertionError(prompt)


def test_kept_combinations_are_completed_or_not():
    right, wrong = ScriptedModel(completed), ScriptedModel(lambda _: "nothing")
    assert shares(sharing.measure_sharing(right, random.Random(0), 30)) == [1] * 5
    assert shares(sharing.measure_sharing(wrong, random.Random(0), 30)) == [0] * 5


def test_steps_are_told_by_who_wrote_them():
    def honest(messages: list[dict[str, str]]) -> str:
        found = re.search(r"(\d+)((?: [+-] \d)+)", messages[-1]["content"])
        assert found is not None
        terms = tuple(int(term.replace(" ", "")) for term in re.findall(r"[+-] \d", found[2]))
        chain = arithmetic.ArithmeticChain(int(found[1]), terms)
        return f"Okay, {chain.steps(chain.results)}, so the result is {chain.result}."

    rows = working.measure_manners(ScriptedModel(honest), random.Random(3), 40)
    assert shares(rows) == [1, 0, 0]


def test_a_bar_may_be_an_upper_one():
    rate = RateEstimate.of([True] * 9 + [False])
    assert MechanismRow(mechanism="m", claim="c", rate=rate, bar=0.9).holds is True
    assert MechanismRow(mechanism="m", claim="c", rate=rate, bar=0.95).holds is False
    assert MechanismRow(mechanism="m", claim="c", rate=rate, bar=0.15, most=True).holds is False
    assert MechanismRow(mechanism="m", claim="c", rate=rate).holds is None
    assert ScaleRow(mechanism="m", claim="c", value=0.05, bar=0.1, most=True).holds is True


def test_a_row_holds_if_it_holds_on_every_seed():
    def seed(number: int, hits: int) -> SeedRows:
        row = MechanismRow(
            mechanism="m", claim="c", rate=RateEstimate.of([True] * hits + [False] * (10 - hits)), bar=0.9
        )
        return SeedRows(seed=number, rates=(row,), scales=())

    card = MechanismCard(seeds=(seed(0, 9), seed(1, 8)), parameters=1, bytes=2, context=3)
    assert card.rows()[0][3:] == ("at least 90%", "**no**")
    assert MechanismCard.model_validate(card.to_json()) == card
