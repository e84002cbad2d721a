"""Logits, neighbours, labels, search, map, page and export against planted truth."""

import json
from pathlib import Path
from typing import Literal

import pytest
import torch
from absent import import_or_skip
from explain_kit import PLANTED

from mindscope.dictionaries import Coder, Dictionary, DictionaryBank, Site
from mindscope.errors import DataError
from mindscope.explain import (
    LayerCounterpart,
    Survey,
    TextIndex,
    across_layers,
    as_persona,
    best_latent,
    feature_json,
    feature_logits,
    feature_map,
    feature_report,
    find_neighbours,
    fires_on,
    gather_evidence,
    keyless_label,
    read_direction,
    score_label,
    search_token,
    written_label,
)
from mindscope.features import Direction
from mindscope.models import Model, Row
from mindscope.personas import PersonaVectors


def sae(model: Model, W_dec: torch.Tensor, layer: int = 1) -> DictionaryBank:
    site = [Site(f"resid_post.{layer}", model.d_model)]
    coder = Coder(W_dec, torch.zeros(len(W_dec)), W_dec)
    return DictionaryBank(
        Dictionary.single(
            coder,
            torch.zeros(model.d_model),
            reads=site,
            writes=site,
            activation="relu",
            models={"0": model.fingerprint},
        )
    )


def vectors(model: Model, count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, model.d_model, generator=torch.Generator().manual_seed(seed))


def test_logits_by_hand(model: Model):
    features = sae(model, vectors(model, 6))
    found = feature_logits(model, features, [4], count=3)[0]
    rows = model.hf.lm_head.weight * model.hf.model.norm.weight
    wanted = (rows @ features.dictionary.coder.W_dec[4]).detach()
    wanted -= wanted.mean()
    assert [one.token for one in found.top] == wanted.topk(3).indices.tolist()
    assert [one.value for one in found.bottom] == pytest.approx(
        (-(-wanted).topk(3).values).tolist(), rel=1e-4
    )


def test_neighbours_and_counterparts(model: Model):
    rows = vectors(model, 12)
    rows[7] = 3 * rows[2] + 0.1 * vectors(model, 1, 5)[0]
    first = find_neighbours(sae(model, rows), 2, 3)[0]
    assert (first.feature, round(first.cosine, 2)) == (7, 1.0)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(2))
    other = rows[order] + 0.01 * vectors(model, 12, 6)
    other[int((order == 5).nonzero())] = vectors(model, 1, 7)[0]  # this one has no counterpart
    sets = [sae(model, rows, 0), sae(model, other, 1)]
    for feature in (0, 1, 3):
        (found,) = across_layers(sets, 0, feature)
        assert isinstance(found, LayerCounterpart)
        assert (found.feature, found.mutual) == (int((order == feature).nonzero()), True)
        assert found.cosine > 0.99
    (none,) = across_layers(sets, 0, 5)
    assert none.cosine < 0.9


def test_a_direction_is_read_as_features_and_stands_in(model: Model):
    rows = vectors(model, 12)
    matrix = torch.zeros(model.n_layers, model.d_model)
    matrix[1] = -2.5 * rows[8]
    persona = PersonaVectors("trait", model.fingerprint, {"answer_mean": matrix}, (1,))
    direction = persona.direction(1)
    features = sae(model, rows)
    nearest = read_direction(features, direction, 2)[0]
    assert (nearest.feature, round(nearest.cosine, 4)) == (8, -1.0)
    _, stand_in = best_latent(features, direction)
    torch.testing.assert_close(stand_in.vector, direction.vector)
    torch.testing.assert_close(as_persona(persona, stand_in).direction(1).vector, direction.vector)
    with pytest.raises(DataError, match="belongs to"):
        read_direction(features, Direction("x", "resid_post.0", rows[0], model.fingerprint))


def test_a_latent_is_a_feature_like_any_other(model: Model, dictionary: Dictionary):
    bank = DictionaryBank(dictionary)
    latent = bank.feature(1)
    x = torch.randn(2, 3, model.d_model)
    torch.testing.assert_close(latent.project(x), dictionary.encode(x.view(6, -1)).dense()[:, 1].view(2, 3))
    assert torch.equal(latent.edit(2.0).vector, dictionary.coder.W_dec[1])
    assert latent.digest() != bank.feature(2).digest()


@pytest.mark.parametrize("latent", PLANTED)
def test_keyless_labels_name_the_token(surveyed: Survey, latent: int):
    label = keyless_label(surveyed, latent)
    assert label.text == f"“w{PLANTED[latent]}”"
    assert label.scores["detection"].accuracy == 1.0
    assert label.scores["detection"].answered > 3


class Oracle:
    """A writer that reads the marks, and then knows exactly where the token stands; or errs on purpose."""

    name = "oracle"

    def __init__(self, token: str, *, prose: bool = False) -> None:
        self.token, self.prose, self.prompts = token, prose, []

    def write(self, prompt: str) -> str:
        self.prompts.append(prompt)
        lines = [line for line in prompt.splitlines() if line[:1].isdigit() and ". " in line]
        if "LABEL:" in prompt:
            assert all(f"«{self.token}»" in line for line in lines)
            return f"Some thoughts.\nLABEL: the word {self.token}"
        if self.prose:
            return "I cannot say."
        wanted = f"«{self.token}»" if "«" in lines[0] or "marks" in prompt else self.token
        said = ["1" if wanted in line.replace(".", " . ").split() else "0" for line in lines]
        return "ANSWER: " + ", ".join(said)


def test_labels_by_a_model_and_their_scores(surveyed: Survey):
    token = f"w{PLANTED[0]}"
    label = written_label(surveyed, 0, Oracle(token))
    assert (label.text, label.source) == (f"the word {token}", "oracle")
    assert label.scores["detection"].accuracy == 1.0
    assert label.scores["fuzzing"].accuracy == 1.0
    known = gather_evidence(surveyed, surveyed.feature(0))
    assert not {one.row for one in known.learning} & {one.row for one in known.held_out}
    wrong = score_label("another", known, Oracle("w1"))
    assert wrong["detection"].accuracy is not None
    assert wrong["detection"].accuracy < 0.8
    prose = score_label("x", known, Oracle(token, prose=True))["detection"]
    assert (prose.accuracy, prose.answered) == (None, 0)
    assert prose.missing > 0


def test_search(surveyed: Survey, model: Model, dictionary: Dictionary):
    index = TextIndex(surveyed, {0: "a planted elephant"})
    assert index.search("elephant")[0].feature == 0
    assert index.search("w9")[0].feature == 1
    assert index.search("nothing of the kind") == []
    ((use, *_),) = search_token(surveyed, "w17").values()
    assert (use.feature, use.f1) == (2, 1.0)
    row = Row((1, 2, PLANTED[2], 3, PLANTED[0]), 0)
    found = {one.feature: one for one in fires_on(model, DictionaryBank(dictionary), surveyed, row)}
    assert set(found) == {0, 2}
    assert found[2].position == 2
    assert found[2].share == pytest.approx(1.0, abs=1e-3)


@pytest.fixture(scope="module")
def clustered(model: Model) -> DictionaryBank:
    """Three kinds of twelve latents that write nearly alike."""
    centres = 10 * vectors(model, 3)
    return sae(model, torch.cat([centres[i] + vectors(model, 12, 10 + i) for i in range(3)]))


@pytest.mark.parametrize("method", ["pca", "tsne", "umap"])
def test_map_finds_planted_clusters(clustered: DictionaryBank, method: Literal["pca", "tsne", "umap"]):
    if method == "umap":
        import_or_skip("umap", "map")
    threads = torch.get_num_threads()
    found = feature_map(clustered, method=method, least_cluster=6)
    assert torch.get_num_threads() == threads, "what is computed later would be split otherwise"
    groups = [set(found.clusters[12 * i : 12 * i + 12].tolist()) - {-1} for i in range(3)]
    assert all(groups)
    assert len(set.union(*groups)) == sum(map(len, groups))
    labels = {i: f"kind{i // 12} thing" for i in range(36)}
    assert all(name.startswith("kind") for name in found.names(labels))
    again = feature_map(clustered, method=method, least_cluster=6)
    assert torch.equal(found.places, again.places), "a layout is drawn from its seed"


@pytest.mark.parametrize("installed", [False, True])
def test_map_by_default(clustered: DictionaryBank, monkeypatch: pytest.MonkeyPatch, installed: bool) -> None:
    if installed:
        import_or_skip("umap", "map")
    else:
        monkeypatch.setattr("mindscope.explain.map.find_spec", lambda name: None)
        with pytest.raises(DataError, match=r"mindscope\[map\]"):
            feature_map(clustered, method="umap")
    assert feature_map(clustered).method == ("umap" if installed else "tsne")


def test_public_json_and_page(surveyed: Survey, model: Model, tmp_path: Path):
    found = json.loads(json.dumps(feature_json(surveyed, 1, transcoder_id="planted")))
    assert set(found) == {
        "transcoder_id", "index", "examples_quantiles", "top_logits", "bottom_logits", "act_min", "act_max",
        "quantile_values", "histogram", "activation_frequency",
    }  # fmt: skip
    for group in found["examples_quantiles"]:
        for example in group["examples"]:
            assert example["tokens"][example["train_token_ind"]].strip() == f"w{PLANTED[1]}"
            assert len(example["tokens"]) == len(example["tokens_acts_list"])
    assert found["act_max"] == pytest.approx(2.0, abs=1e-3)
    label = keyless_label(surveyed, 1)
    page = feature_report(surveyed, 1, label=label).write(tmp_path / "page.html").read_text()
    assert label.text in page
    assert "Strongest contexts" in page
    assert "--at: 100%" in page
