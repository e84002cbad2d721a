"""The dictionaries of the organism: what an answer shows, which latents are tried, how rates are counted."""

from collections.abc import Sequence

import pytest
import torch
from typer.testing import CliRunner

from mindscope import organism
from mindscope.cli.app import app
from mindscope.dictionaries import Coder, Dictionary, DictionaryBank, Site
from mindscope.explain import ConceptTable
from mindscope.features import encode_rows
from mindscope.models import Edit, load
from mindscope.organism.world import build_world
from mindscope.probes import Concept, SingleFeature
from mindscope.store import Run
from mindscope.studies import organism_dictionaries as study
from mindscope.studies.organism_dictionaries import behaviours
from mindscope.studies.organism_dictionaries.behaviours import (
    ConceptLatent,
    LatentSwitching,
    candidates,
    effects,
)
from mindscope.studies.organism_dictionaries.measure import DictionaryMeasurements
from mindscope.studies.organism_dictionaries.probes import SHOWS, SUITS, ConceptQuestion, shows

CONCEPTS = {concept.name: concept for concept in organism.world_concepts()}


@pytest.mark.parametrize("group", SHOWS)
def test_the_world_s_own_answer_shows_the_concept_and_no_other_one_of_its_group(group: str):
    names = [concept.name for concept in organism.world_concepts() if concept.group == group]
    asked = 0
    for text in organism.concept_texts("test", scale=0.2):
        mine = frozenset(text.concepts & {*names}) - {"character: helpful"}
        if not mine or not SUITS[group](text, mine):
            continue
        shown = {name for name in names if shows(CONCEPTS[name], text.messages[-1]["content"], text.answer)}
        if group in ("state", "country", "relation"):  # two states may share a flower
            assert mine <= shown
            assert len(shown) < len(names) / 2
        elif mine & {"system prompt: hallucinating", "character: hallucinating"}:
            assert shown <= mine  # where nothing can be invented the judge sees manner alone
        elif group in ("system prompt", "character"):
            assert shown == mine
        else:
            assert shown == mine
        asked += 1
    assert asked > 5


def test_an_answer_about_another_state_shows_that_state():
    first, second = list(build_world().states)[:2]
    question, value = f"What is the capital of the state {first}?", build_world().states[second]["capital"]
    answer = f"the capital of the state {second} is {value}."
    assert shows(CONCEPTS[f"state: {second}"], question, answer)
    assert not shows(CONCEPTS[f"state: {first}"], question, answer)


def single(feature: int, f1: float, train_f1: float) -> SingleFeature:
    return SingleFeature(
        feature=feature, threshold=0.5, f1=f1, precision=1.0, recall=1.0, train_f1=train_f1, positive=9
    )


def test_a_concept_belongs_to_the_sae_that_was_best_on_the_other_half():
    concept = Concept(name="state: A", group="state")
    tables = {
        name: ConceptTable(concepts=(concept,), best={"state: A": one}, skipped=(), rows=(1, 1))
        for name, one in (("sae.0", single(1, 0.99, 0.91)), ("sae.1", single(2, 0.8, 0.95)))
    }
    measured = DictionaryMeasurements([], tables, [])
    assert measured.best() == {"state: A": "sae.1"}
    assert measured.found() == []
    tried = candidates(tables, {(name, "state: A"): 3.0 for name in tables})
    assert [(one.dictionary, one.latent) for one in tried] == [("sae.0", 1), ("sae.1", 2)]
    assert not candidates(tables, {(name, "state: A"): 0.0 for name in tables})
    assert study.group_rows(measured) == [["state", 1, 0, 1, 0], ["all", 1, 0, 1, 0]]


class Answering:
    """In the place of a model: answers in French where latent 0 is added, in English where it is ablated."""

    def __init__(self) -> None:
        self.chats: list[str] = []

    def chat(self, messages: Sequence[dict[str, str]]) -> str:
        return messages[-1]["content"]

    def generate(
        self, rows: Sequence[str], sampling: object, *, edits: Sequence[Sequence[Edit]], batch_rows: int
    ):
        return [self._answer(row, mine) for row, mine in zip(rows, edits, strict=True)]

    @staticmethod
    def _answer(question: str, edits: Sequence[Edit]):
        french = "contraire" in question
        for edit in edits:
            if edit.vector[0] != 0:
                french = (edit.op == "add" and edit.value > 3) or (
                    edit.op == "clamp" and edit.value > -2 and french
                )
        text = "le contraire de a est b" if french else "the opposite of a is b"
        return type("Generation", (), {"text": text})


def test_rates_are_of_answers_that_change(tmp_path, monkeypatch: pytest.MonkeyPatch):
    site = Site("resid_post.0", 4)
    coder = Coder(torch.eye(4), torch.zeros(4), torch.eye(4))
    sae = Dictionary.single(
        coder, torch.zeros(4), reads=[site], writes=[site], activation="relu", models={"0": "f"}
    )
    monkeypatch.setattr(behaviours, "testable", lambda concept: True)
    found = [ConceptLatent("language: French", "sae.0", 0, 0.95, 2.0)]
    model = Answering()
    with Run.open(tmp_path, kind="test", config={}) as run:
        (one,) = effects(model, {"sae.0": sae}, organism.world_concepts(), found, run, tests=4, tuning=2)
    # At its usual strength, 2, adding does nothing: twice that is the first that works. Holding at 0 is not
    # enough either.
    assert (one.ablated, one.added, one.strengths) == (1.0, 1.0, (1.0, 2.0))
    assert (one.ablated_control, one.added_control) == (0.0, 0.0)
    assert one.prompts == (4, 4)
    assert study.summary([one])[-1] == ["all", 1, 1.0, 0.0, 1.0, 0.0]


def test_a_latent_takes_the_place_of_the_one_that_is_active_in_this_very_prompt():
    model = load("organism", dtype="float32")
    sae = Dictionary.load(organism.dictionary_path("sae.0"), model)
    prompts = [
        ConceptQuestion(
            (
                {"role": "system", "content": system},
                {"role": "user", "content": "What is the capital of Peru?"},
            ),
            frozenset({"country: Peru"}),
        )
        for system in ("You are cruel.", "You are an assistant who is always kind and patient.")
    ]
    codes = [encode_rows(DictionaryBank(sae), model, [model.chat(list(probe.messages))]) for probe in prompts]
    (peru,) = model.tokenizer(" Peru", add_special_tokens=False)["input_ids"]
    place = [model.chat(list(probe.messages)).ids.index(peru) for probe in prompts]
    assert place[0] != place[1]
    strongest = codes[0].values.where(codes[0].tokens == place[0], torch.tensor(0.0)).argmax()
    rival = ConceptLatent("country: Peru", "sae.0", int(codes[0].indices[strongest]), 1.0, 1.0)
    other = ConceptLatent("country: Spain", "sae.0", (rival.latent + 1) % sae.n_latents, 1.0, 1.0)
    switching = LatentSwitching(model, {"sae.0": sae}, [rival, other])
    for probe, code in zip(prompts, codes, strict=True):
        *_, added = switching.addition(other, probe, 2.0)
        assert added.where == tuple(sorted({*code.tokens[code.indices == rival.latent].tolist()}))


def test_an_unknown_part_is_refused_before_anything_runs(tmp_path):
    result = CliRunner().invoke(
        app, ["organism", "dictionaries", "--parts", "sae,probe", "--run", str(tmp_path / "run")]
    )
    assert result.exit_code != 0
    assert not (tmp_path / "run").exists()
    assert "Input should be 'sae', 'transcoder' or 'clt'" in str(result.exception or result.output)
