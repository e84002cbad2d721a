"""The dictionaries of the organism: what an answer shows, which latents are tried, how rates are counted."""

from collections.abc import Sequence

import pytest
import torch
from typer.testing import CliRunner

from mindscope import organism
from mindscope.cli.app import app
from mindscope.dictionaries import Coder, Dictionary, DictionaryBank, Site
from mindscope.errors import DataError
from mindscope.explain import ConceptTable, pooled_channels, pooled_tokens
from mindscope.features import encode_rows
from mindscope.models import Edit, Raw, Read, load
from mindscope.organism.world import build_world
from mindscope.probes import Concept, SingleFeature
from mindscope.store import Run
from mindscope.studies import organism_dictionaries as study
from mindscope.studies.common import randomise
from mindscope.studies.organism_dictionaries import behaviours
from mindscope.studies.organism_dictionaries.baselines import NEURON, TOKEN
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
    assert study.group_rows(measured) == [["state", 1, 0, 0], ["all", 1, 0, 0]]


def test_found_is_only_what_no_token_neuron_or_random_dictionary_reaches():
    names = ("state: A", "state: B", "state: C")
    concepts = tuple(Concept(name=name, group="state") for name in names)
    scores = (0.95, 0.95, 0.8)
    best = {name: single(1, f1, f1) for name, f1 in zip(names, scores, strict=True)}
    table = ConceptTable(concepts=concepts, best=best, skipped=(), rows=(1, 1))
    baselines = {
        TOKEN: {"state: A": single(7, 0.95, 0.9), "state: B": single(8, 0.5, 0.5)},
        NEURON: {"state: B": single(9, 0.94, 0.9), "state: C": single(9, 0.1, 0.1)},
    }
    measured = DictionaryMeasurements([], {"sae.0": table}, [], baselines)
    assert measured.reaching() == ["state: A", "state: B"]
    assert measured.found() == ["state: B"]  # a token tells A as well
    assert study.group_rows(measured) == [["state", 3, 1, 2, 1, 1], ["all", 3, 1, 2, 1, 1]]
    rows = {row[0]: row for row in study.concept_rows(measured)}
    assert rows["state: B"][2:5] == [0.95, 0.5, 0.94]
    assert rows["state: A"][2:5] == [0.95, 0.95, None]


def test_baselines_are_read_where_the_concept_is_read():
    """Presence of tokens and highest channels, compared with reading each row by itself."""
    model = load("organism", dtype="float32")
    rows = [
        model.chat([{"role": "user", "content": text}], "Sure, 27 + 45 = 72.") for text in ("7 birds", "hi")
    ]
    pools = [("all", ""), ("answer", "="), ("prompt", "")]
    present = pooled_tokens(model, rows, pools)
    highest = pooled_channels(model, "mlp_act.1", rows, pools)
    for index, row in enumerate(rows):
        equals = max(place for place, token in enumerate(row.ids) if model.decode([token]).strip() == "=")
        spans = {pools[0]: range(len(row)), pools[1]: [equals], pools[2]: range(row.prompt_length)}
        values = model.read([row], {"x": Read("mlp_act.1", Raw("all"))})["x"].values[0].float()
        for pool, span in spans.items():
            assert set(present[pool][index].nonzero().flatten().tolist()) == {row.ids[i] for i in span}
            own = values[list(span)]
            expected = torch.cat([own.amax(0), (-own).amax(0)]).clamp(min=0)
            torch.testing.assert_close(highest[pool][index], expected, rtol=1e-4, atol=1e-5)


def test_a_random_dictionary_is_as_large_and_as_sparse():
    model = load("organism", dtype="float32")
    trained = Dictionary.load(organism.dictionary_path("sae.1"), model)
    drawn = randomise(trained, seed=0)
    assert (drawn.n_latents, drawn.reads) == (trained.n_latents, trained.reads)
    code = encode_rows(DictionaryBank(drawn), model, [model.text("the bird of the state of Tavton is")])
    assert torch.bincount(code.tokens).max() <= (trained.k or 0)
    cosines = (drawn.coder.W_dec @ trained.coder.W_dec.T / trained.coder.W_dec.norm(dim=1)).abs()
    assert float(cosines.amax(1).mean()) < 0.5


def test_bundled_dictionaries_are_only_measured():
    with pytest.raises(DataError, match="only measured"):
        study.ShippedDictionariesSpec(bundled=True, install=True)
    names = {"sae.0", "sae.1", "sae.2", "sae.3", "transcoders", "clt"}
    assert set(study.find_bundled()) == names
    assert all(path.exists() for path in study.find_bundled().values())
    second = study.find_bundled((), "second")
    assert set(second) == {*(f"sae.{layer}" for layer in range(6)), "transcoders", "clt", "crosscoder"}
    assert all(path.exists() for path in second.values())
    files = [file for path in second.values() for file in (path.rglob("*") if path.is_dir() else [path])]
    assert sum(file.stat().st_size for file in files if file.is_file()) < 45e6  # what was asked for


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
    assert "Input should be 'sae', 'transcoder', 'clt' or 'crosscoder'" in str(
        result.exception or result.output
    )
