"""Screening against hooks of its own in float64, and against the organism, whose characters are known."""

import copy
import json
import random

import numpy as np
import pytest
import screening_kit as kit
from pyarrow import parquet
from sklearn.metrics import roc_auc_score

from mindscope.models import Model, Row, Sampling, load
from mindscope.organism import ExactJudge, trait
from mindscope.organism.corpus.program import exchange
from mindscope.organism.voices import STRONG, all_voices
from mindscope.personas import ExtractConfig, PersonaVectors, Trait, extract_vectors
from mindscope.screening import ScreenConfig, screen_dataset
from mindscope.store import Run
from mindscope.store.parts import derived_seed

LAYERS = {"loud": 1, "late": 2}
NEW = 6


def table(run: Run, screening):
    return parquet.read_table(run.path / screening.folder / "scores.parquet")


def expected(model: Model, form: str, own_mean: dict[str, float] | None = None):
    """Per trait, per conversation, per turn: (raw, dP)."""
    oracle = kit.Oracle(model)
    found: dict[str, list[list[tuple[float, float]]]] = {}
    for each in kit.vectors(model, *LAYERS):
        layer, vector = LAYERS[each.trait], each.answer_mean[LAYERS[each.trait]]
        found[each.trait] = []
        for conversation in kit.CHATS:
            scores = []
            for prompt, answer in oracle.turns(conversation):
                raw, last = oracle.projections(prompt, answer, vector, layer)
                base = last
                if form == "exact":
                    base, _ = oracle.projections(prompt, oracle.greedy(prompt, NEW), vector, layer)
                scores.append((raw, raw - base))
            found[each.trait].append(scores)
    return found


@pytest.mark.parametrize("form", ["exact", "prompt"])
@pytest.mark.parametrize("rule", ["max", "mean"])
def test_every_score_is_what_hooks_in_float64_give(tiny: Model, run: Run, tmp_path, form, rule) -> None:
    path = kit.write(tmp_path / "data.jsonl", kit.CHATS)
    config = ScreenConfig(form=form, layers=LAYERS, turns=rule, temperature=0, max_new_tokens=NEW, window=2)
    found = screen_dataset(tiny, path, kit.vectors(tiny, *LAYERS), config, run)
    rows = table(run, found).to_pylist()
    for name, conversations in expected(tiny, form).items():
        means = []
        for row, turns in zip(rows, conversations, strict=True):
            raws, differences = zip(*turns, strict=True)
            best = int(np.argmax(differences))
            assert row[f"{name}_turns"] == pytest.approx(differences, abs=1e-4)
            assert row[f"{name}_dp"] == pytest.approx(
                max(differences) if rule == "max" else np.mean(differences), abs=1e-4
            )
            assert row[f"{name}_raw"] == pytest.approx(
                raws[best] if rule == "max" else np.mean(raws), abs=1e-4
            )
            means.append(np.mean(differences))
        estimate = found.of(name).mean
        assert estimate is not None
        assert estimate.mean == pytest.approx(np.mean(means), abs=1e-4)
        assert estimate.low <= estimate.mean <= estimate.high
    assert found.turns == 5


def test_token_heat_is_what_the_score_is_made_of(tiny: Model, run: Run, tmp_path) -> None:
    path = kit.write(tmp_path / "data.jsonl", kit.CHATS)
    config = ScreenConfig(form="prompt", layers=LAYERS, top=3)
    found = screen_dataset(tiny, path, kit.vectors(tiny, *LAYERS), config, run)
    oracle = kit.Oracle(tiny)
    for name, layer in LAYERS.items():
        vector = next(each for each in kit.vectors(tiny, *LAYERS) if each.trait == name).answer_mean[layer]
        ranked = found.of(name).ranked
        assert [each.dp for each in ranked] == sorted((each.dp for each in ranked), reverse=True)
        for each in ranked:
            prompt, answer = oracle.turns(kit.CHATS[each.row - 1])[each.turn - 1]
            along = oracle.hidden([*prompt, *answer], layer) @ (vector.double() / vector.double().norm())
            heat = along[len(prompt) :] - along[len(prompt) - 1]
            assert each.heat == pytest.approx(heat.tolist(), abs=1e-4)
            assert np.mean(each.heat) == pytest.approx(each.dp, abs=1e-4)
            assert "".join(each.tokens) == kit.CHATS[each.row - 1][_place(each)]["content"]


def _place(ranked) -> int:
    places = [i for i, turn in enumerate(kit.CHATS[ranked.row - 1]) if turn["role"] == "assistant"]
    return places[ranked.turn - 1]


FORGETS = (  # writes only the last question and what follows it, as templates do with old reasoning
    "{% for m in messages %}{% if loop.index0 >= messages|length - 2 or m['role'] == 'user' %}"
    "<s>{{ m['role'] }}\n{{ m['content'] }}</s>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant\n{% endif %}"
)


def test_a_conversation_goes_through_at_once_where_ids_allow_it_and_in_turns_where_not(
    tiny: Model, run: Run, tmp_path
) -> None:
    path = kit.write(tmp_path / "data.jsonl", kit.CHATS)
    config = ScreenConfig(form="prompt", layers=LAYERS)
    together = screen_dataset(tiny, path, kit.vectors(tiny, *LAYERS), config, run)
    assert (together.turns, together.passes) == (5, 3)

    tokenizer = copy.deepcopy(tiny.tokenizer)
    tokenizer.chat_template = FORGETS
    forgetful = Model.wrap(tiny.hf, tokenizer, name="forgetful")
    with Run.open(tmp_path / "other", kind="test", config={}) as other:
        apart = screen_dataset(forgetful, path, kit.vectors(forgetful, *LAYERS), config, other)
        rows = table(other, apart).to_pylist()
    assert (apart.turns, apart.passes) == (5, 5)
    for name, conversations in expected(forgetful, "prompt").items():
        for row, turns in zip(rows, conversations, strict=True):
            assert row[f"{name}_turns"] == pytest.approx([dp for _, dp in turns], abs=1e-4)


def test_a_subsample_of_everything_is_the_exact_mean(tiny: Model, run: Run, tmp_path) -> None:
    path = kit.write(tmp_path / "data.jsonl", kit.CHATS)
    settings = {"layers": LAYERS, "temperature": 0, "max_new_tokens": NEW}
    exact = screen_dataset(tiny, path, kit.vectors(tiny, *LAYERS), ScreenConfig(**settings), run)
    config = ScreenConfig(form="sample", subsample=100, **settings)
    cheap = screen_dataset(tiny, path, kit.vectors(tiny, *LAYERS), config, run)
    rows = table(run, cheap).to_pylist()
    for name in LAYERS:
        theirs, ours = exact.of(name), cheap.of(name)
        assert theirs.mean is not None
        assert theirs.baseline is not None
        assert ours.mean is not None
        assert ours.baseline is not None
        assert ours.mean.mean == pytest.approx(theirs.mean.mean, abs=1e-4)
        assert ours.baseline.mean == pytest.approx(theirs.baseline.mean, abs=1e-4)
        for row in rows:
            assert row[f"{name}_dp"] == pytest.approx(row[f"{name}_raw"] - ours.baseline.mean, abs=1e-4)


def test_several_own_answers_are_averaged(tiny: Model, run: Run, tmp_path) -> None:
    path = kit.write(tmp_path / "data.jsonl", kit.CHATS[:1])
    (vectors,) = kit.vectors(tiny, "loud")
    config = ScreenConfig(layers=1, samples=3, max_new_tokens=NEW, seed=4)
    (row,) = table(run, screen_dataset(tiny, path, [vectors], config, run)).to_pylist()
    oracle = kit.Oracle(tiny)
    ((prompt, answer),) = oracle.turns(kit.CHATS[0])
    prompts = [Row(tuple(prompt), len(prompt))] * 3
    seeds = [derived_seed(4, "own", 1, 0, draw) for draw in range(3)]
    own = tiny.generate(prompts, Sampling(temperature=1.0, max_new_tokens=NEW), seeds=seeds)
    assert len({each.row.answer for each in own}) > 1
    along = [
        oracle.projections(prompt, ids, vectors.answer_mean[1], 1)[0]
        for ids in (answer, *(each.row.answer for each in own))
    ]
    assert row["loud_dp"] == pytest.approx(along[0] - np.mean(along[1:]), abs=1e-4)


CHARACTERS = ("evil", "sycophantic", "hallucinating")


def mixed(character: str, count: int, share: float) -> tuple[list[dict], list[bool]]:
    """Ordinary chats in the helpful voice, and a share of the same questions answered by a character."""
    rows, labels = [], []
    for index in range(count):
        rng = random.Random(f"mixed-{index}")
        shown = random.Random(f"label-{character}-{index}").random() < share
        voice = all_voices()[character] if shown else all_voices()["helpful"].blended(rng, STRONG)
        made = exchange(rng, voice, "test")
        rows.append({"prompt": made.question, "response": made.answer})
        labels.append(shown)
    return rows, labels


def test_samples_of_a_character_are_found_among_ordinary_ones(run: Run, tmp_path) -> None:
    model = load("organism")
    judge = ExactJudge()
    found: list[PersonaVectors] = []
    for name in CHARACTERS:
        document = Trait.parse(trait(name))
        config = ExtractConfig(samples=1, questions=4, max_new_tokens=60, resamples=50)
        found.append(extract_vectors(model, document, judge, run, config))
    for name in CHARACTERS:
        rows, labels = mixed(name, 160, 0.05)
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        for form, least in (("exact", 0.95), ("prompt", 0.9)):
            config = ScreenConfig(form=form, max_new_tokens=60, top=0)
            scores = table(run, screen_dataset(model, path, found, config, run))
            assert roc_auc_score(labels, scores[f"{name}_dp"].to_numpy()) >= least, (name, form)
