"""Surveys that are killed, resumed, given something else, or damaged."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import explain_kit
import pytest
import torch

from mindscope.dictionaries import Dictionary, DictionaryBank
from mindscope.errors import DataError, StoreError
from mindscope.explain import FeatureLabel, LabelScore, Survey, SurveyConfig, search_token, survey_features
from mindscope.explain.survey.best import PeakActivations, TopContexts
from mindscope.explain.survey.results import FILE, SCHEMA, VERSION
from mindscope.models import Model
from mindscope.store import Run, load_artifact, save_artifact, write_json

CONFIG = SurveyConfig(top=4, sample=10, before=3, after=2, controls=8, block_rows=16, read_rows=5)


@pytest.fixture(scope="module")
def model() -> Model:
    return explain_kit.model()


@pytest.fixture(scope="module")
def features(model: Model) -> DictionaryBank:
    return DictionaryBank(explain_kit.planted(model))


def digest(folder: Path) -> str:
    return hashlib.sha256((folder / FILE).read_bytes()).hexdigest()


def go(model: Model, features: DictionaryBank, folder: Path, rows=None, config=CONFIG) -> Survey:
    with Run.open(folder, kind="feature", config={}) as run:
        return survey_features(model, features, explain_kit.corpus() if rows is None else rows, run, config)


class _Killed(BaseException):
    pass


def die_after(patch: pytest.MonkeyPatch, n_passes: int, look: Callable[[], object] = lambda: None) -> None:
    """Let so many passes be encoded, and stop as a kill does; `look` is called before each."""
    real, passes = DictionaryBank.encode, iter(range(10**9))

    def dies(self, activations):
        look()
        if next(passes) == n_passes:
            raise _Killed
        return real(self, activations)

    patch.setattr(DictionaryBank, "encode", dies)


@pytest.mark.parametrize("after", [0, 1, 7, 12])
def test_stopped_anywhere_ends_the_same(model, features, tmp_path: Path, monkeypatch, after: int):
    go(model, features, tmp_path / "whole")
    with monkeypatch.context() as patch:
        die_after(patch, after)
        with pytest.raises(_Killed):
            go(model, features, tmp_path / "parts")
    go(model, features, tmp_path / "parts")
    assert digest(tmp_path / "parts") == digest(tmp_path / "whole")


def test_contexts_are_written_once_and_anew_when_large(model, features, tmp_path, monkeypatch):
    """A checkpoint holds what has changed since the last; a run that goes on ends the same."""
    go(model, features, tmp_path / "whole")
    monkeypatch.setattr("mindscope.explain.survey.survey.CHECKPOINT_SHARE", 1.0)
    parts: list[list[str]] = []

    def look() -> None:
        parts.append(sorted(file.name for file in (tmp_path / "parts/survey").glob("contexts/*")))

    with monkeypatch.context() as patch:
        die_after(patch, 14, look)
        with pytest.raises(_Killed):
            go(model, features, tmp_path / "parts")
    assert parts[0] == []
    assert max(map(len, parts)) >= 2  # several blocks, a file each
    go(model, features, tmp_path / "parts")
    assert digest(tmp_path / "parts") == digest(tmp_path / "whole")
    assert not (tmp_path / "parts/survey/contexts").exists()


def test_changes_put_together_are_the_tables():
    """Saved as one's changes and applied to an empty one, after every block, with few places filled."""
    draw = torch.Generator().manual_seed(0)
    table, other = TopContexts(6, 4, 3), TopContexts(6, 4, 3)
    for block in range(9):
        n = 5
        peaks = PeakActivations(
            torch.randint(6, (n,), generator=draw),
            torch.arange(block * n, block * n + n),
            torch.zeros(n, dtype=torch.int64),
            torch.rand(n, generator=draw),
        )
        table.offer(peaks, peaks.values, lambda own: own.values[:, None].expand(-1, 3))
        changes = table.take_changes()
        assert set(changes["features"].tolist()) <= set(peaks.features.tolist())
        assert changes["rows"].shape[1] <= min(4, block + 5)
        other.apply_changes(changes)
        for name, own in table.tables.items():
            assert torch.equal(own, other.tables[name]), name
    assert len(table.take_changes()["features"]) == 0


def test_a_finished_survey_is_opened_not_made(model, features, tmp_path: Path, monkeypatch):
    go(model, features, tmp_path)
    before = digest(tmp_path)

    def never(self, activations):
        raise AssertionError("the model was run again")

    monkeypatch.setattr(DictionaryBank, "encode", never)
    go(model, features, tmp_path)
    assert digest(tmp_path) == before


def test_refusals(model, features, tmp_path: Path):
    go(model, features, tmp_path / "a")
    with pytest.raises(StoreError, match="another corpus"):
        go(model, features, tmp_path / "a", explain_kit.corpus(seed=2))
    with pytest.raises(StoreError, match="top: 4 there, 5 now"):
        go(model, features, tmp_path / "a", config=CONFIG.model_copy(update={"top": 5}))
    with pytest.raises(DataError, match="no token of the corpus"):
        go(model, features, tmp_path / "b", [])
    with pytest.raises(StoreError, match="no finished survey"):
        Survey.open(tmp_path / "b")
    found = Survey.open(tmp_path / "a")
    with pytest.raises(DataError, match="0 to 3"):
        found.feature(4)
    with pytest.raises(DataError, match="no single token"):
        search_token(found, "nowhere")
    with pytest.raises(StoreError, match="another model"):
        Survey.open(tmp_path / "a", fingerprint="x")


def test_of_another_model_or_none(model, features, tmp_path: Path):
    from tiny_models import FAMILIES, build

    other = build(FAMILIES[1])
    with pytest.raises(DataError, match="another model"):
        go(other, features, tmp_path)
    sites = list(features.dictionary.reads)
    coder = features.dictionary.coder
    free = Dictionary.single(coder, torch.zeros(32), reads=sites, writes=sites, activation="relu")
    with pytest.raises(DataError, match="bind"):
        DictionaryBank(free)


def test_memory_is_bounded_by_settings(model, features, tmp_path: Path):
    """Pairs of feature and token beyond the limit are dropped, and the survey says how many."""
    found = go(model, features, tmp_path, config=CONFIG.model_copy(update={"most_pairs": 2}))
    assert found.metadata["dropped_pairs"] > 0
    assert sum(len(found.tokens_of(i)) for i in range(4)) == 2


def test_a_label_is_a_document(tmp_path: Path):
    score = LabelScore.of([(True, True), (False, True), (True, None)])
    label = FeatureLabel(feature=3, text="a word", source="contexts", scores={"detection": score})
    file = tmp_path / "000003.json"
    label.save(file)
    assert FeatureLabel.load(file) == label
    write_json(file, label.to_json())  # as labels were saved before they named a schema
    assert FeatureLabel.load(file) == label
    for document, error in (
        ({"schema": "mindscope.trait"}, "is not a mindscope.feature_label document"),
        ({"text": "a word"}, "label the feature again"),
    ):
        write_json(file, document)
        with pytest.raises(DataError, match=error):
            FeatureLabel.load(file)


def test_checkpoints_take_a_twentieth_of_the_time(model, features, tmp_path: Path, monkeypatch):
    """Where writing the state is slow, most blocks go by without it, and the result is the same."""
    go(model, features, tmp_path / "often")
    clock, saves = [0.0], []
    real = Run.save_tensors

    def save(run, name, tensors):
        saves.append(name)
        clock[0] += 1.0  # as long as reading two blocks
        real(run, name, tensors)

    def encode(bank, activations, encode=DictionaryBank.encode):
        clock[0] += 0.5
        return encode(bank, activations)

    monkeypatch.setattr("mindscope.explain.survey.survey.monotonic", lambda: clock[0])
    monkeypatch.setattr(Run, "save_tensors", save)
    monkeypatch.setattr(DictionaryBank, "encode", encode)
    config = CONFIG.model_copy(update={"block_rows": 1, "read_rows": 1})
    go(model, features, tmp_path / "seldom", config=config)
    assert len(saves) == 2  # of 60 blocks in 30 seconds


def test_a_survey_of_the_first_version_is_read(model, features, tmp_path: Path):
    """It kept activations themselves, in half precision."""
    new = go(model, features, tmp_path)
    wanted = [new.feature(feature) for feature in range(4)]
    artifact = load_artifact(tmp_path / FILE, schema=SCHEMA, version=VERSION)
    tensors = dict(artifact.tensors)
    for kind in ("top", "sample"):
        scales = tensors.pop(f"{kind}/scales")
        tensors[f"{kind}/windows"] = (tensors[f"{kind}/windows"].float() * scales[..., None]).half()
    names = ("limits", "outliers", "schema", "version", "libraries", "mindscope")
    metadata = {name: value for name, value in artifact.metadata.items() if name not in names}
    save_artifact(tmp_path / FILE, tensors, schema=SCHEMA, version=1, metadata=metadata)
    old = Survey.open(tmp_path)
    assert old.limits.norms == {}
    for feature in range(4):
        for context, other in zip(old.feature(feature).top, wanted[feature].top, strict=True):
            assert context.activations == pytest.approx(other.activations, rel=1e-3)
