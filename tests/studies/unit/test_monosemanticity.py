"""The study of Towards Monosemanticity: its source, measures against closed forms, controls, verdicts."""

import pytest
import torch
from torch.nn import functional as F

from mindscope.dictionaries import DictionaryConfig, DictionaryTrainer
from mindscope.features import Site
from mindscope.studies.common import StudyText, TinyConfig, TinyTransformers
from mindscope.studies.monosemanticity import MonosemanticityConfig
from mindscope.studies.monosemanticity import config as names
from mindscope.studies.monosemanticity.measures.automata import (
    count_calls,
    find_circle,
    measure_calls,
    predict_calls,
)
from mindscope.studies.monosemanticity.measures.effects import (
    ablate_features,
    correlate,
    measure_effects,
    measure_loss,
)
from mindscope.studies.monosemanticity.measures.reading import count_next, tell_favoured
from mindscope.studies.monosemanticity.measures.splitting import (
    masked_cosines,
    sibling_cosine,
    token_bits,
)
from mindscope.studies.monosemanticity.measures.universality import correlate_all, measure_universality
from mindscope.studies.monosemanticity.measures.views import (
    ReadingView,
    SeedViews,
    find_often,
    take_seed,
    view_neurons,
)
from mindscope.studies.monosemanticity.training import (
    NeuronSource,
    convert_coefficient,
    fill_weights,
    shuffle_weights,
)

VOCABULARY = 40
KIND = TinyConfig(layers=1, mlp=True, activation="relu", width=16, heads=2, context=16, seeds=2)


def frozen_models(seed: int = 0) -> TinyTransformers:
    models = TinyTransformers(KIND, VOCABULARY, seed)
    fill_weights(models, [part.detach().clone() for part in models.parameters()])
    return models


def some_rows(rows: int = 24, seed: int = 0) -> torch.Tensor:
    return torch.randint(VOCABULARY, (rows, 16), generator=torch.Generator().manual_seed(seed))


def seed_views(seed: int = 0) -> SeedViews:
    neurons = view_neurons(take_seed(frozen_models(), seed))
    return SeedViews({neurons.name: neurons}, some_rows(48, 1), some_rows(48, 2), VOCABULARY)


def test_one_seed_alone_computes_what_it_computes_among_others():
    models, ids = frozen_models(), some_rows()
    together = models.run(ids.expand(2, -1, -1))[0]
    for seed in (0, 1):
        torch.testing.assert_close(take_seed(models, seed).run(ids[None])[0][0], together[seed])


def test_shuffled_weights_are_the_same_numbers_elsewhere():
    models = frozen_models()
    shuffled = shuffle_weights(models, 3)
    for own, other in zip(models.parameters(), shuffled.parameters(), strict=True):
        torch.testing.assert_close(own.flatten(1).sort(1).values, other.flatten(1).sort(1).values)
    assert not torch.equal(models.embedding, shuffled.embedding)
    assert not torch.equal(
        shuffled.embedding[0].flatten().argsort(), shuffled.embedding[1].flatten().argsort()
    )


def test_the_source_gives_the_same_for_the_same_place_and_no_text_twice():
    text, models = StudyText(VOCABULARY, 2000, 0), frozen_models()
    source = NeuronSource({"own": models, "shuffled": shuffle_weights(models, 1)}, text, 0)
    assert source.names == ("own0:neurons", "own1:neurons", "shuffled0:neurons", "shuffled1:neurons")
    first, again, later = (torch.empty(100, 4 * 64) for _ in range(3))
    end = source.fill(first, (0, 0))
    assert source.fill(again, (0, 0)) == end == (0, 1)
    assert torch.equal(first, again)
    source.fill(later, end)
    assert not torch.equal(first, later)
    assert (first >= 0).all()  # behind the ReLU


def test_the_coefficient_means_what_the_papers_does():
    """Gradients of both losses point the same way, by the numbers of neurons and the scale of activations."""
    draw = torch.Generator().manual_seed(0)
    x = 0.3 * torch.randn(64, 8, generator=draw).relu()
    l1 = 0.02
    config = DictionaryConfig(
        name="a", reads=("n",), n_latents=12, method="relu", sparsity=convert_coefficient(l1, x)
    )
    trainer = DictionaryTrainer(config, (Site("n", 8),), (Site("n", 8),), steps=1, seed=0)
    trainer.begin(x, x)
    scale = 8**0.5 / float(x.norm(dim=1).mean())
    directions = F.normalize(torch.randn(12, 8, generator=draw), dim=1)
    strengths = torch.rand(64, 12, generator=draw)
    own = (x - strengths @ directions).square().mean(1).mean() + l1 * strengths.sum(1).mean()
    # in the units of the training activations and features are larger by the scale
    error = (scale * x - scale * strengths @ directions).square().sum(1).mean()
    assert config.sparsity is not None
    theirs = error + config.sparsity * scale * strengths.sum(1).mean()
    assert float(theirs / own) == pytest.approx(8 * scale**2, rel=1e-4)


def test_logit_weights_are_the_direct_path_and_losses_that_of_the_model():
    seed = seed_views()
    view = seed.views[names.NEURONS]
    weights = view.logit_weights()
    model = view.model
    expected = model.layers[0]["down"][0] @ model.unembedding[0]
    torch.testing.assert_close(
        weights - weights.mean(1, keepdim=True), expected - expected.mean(1, keepdim=True)
    )
    torch.testing.assert_close(weights.median(1).values, torch.zeros(64))
    ids = seed.test
    assert measure_loss(model, ids, lambda x: x) == pytest.approx(
        float(model.losses(ids[None]).mean()), abs=1e-5
    )


def test_what_a_feature_does_is_what_its_logit_weights_say_and_not_anothers():
    config = MonosemanticityConfig(model=KIND, ablated=6, ablated_rows=48)
    scores = ablate_features(seed_views(), names.NEURONS, config, 0)
    assert scores.features == 6
    assert scores.vocabulary > 0.9
    assert abs(scores.vocabulary_other) < 0.5
    assert scores.tokens > 0.9
    assert abs(scores.tokens_other) < 0.5


def test_neurons_put_back_recover_all_of_the_loss():
    seed = seed_views()
    neurons = seed.views[names.NEURONS]
    same = ReadingView("same", neurons.model, neurons.encode, neurons.directions, neurons.bias)
    nothing = ReadingView(
        "nothing", neurons.model, lambda x: torch.zeros_like(x), neurons.directions, neurons.bias
    )
    views = {view.name: view for view in (neurons, same, nothing)}
    seed = SeedViews(views, seed.read, seed.test, VOCABULARY)
    config = MonosemanticityConfig(model=KIND, ablated=2)
    effects = measure_effects(seed, "same", config, 0, lambda done, total: None)
    assert effects.recovered("same") == pytest.approx(1.0, abs=1e-3)
    assert effects.recovered("nothing") == pytest.approx(0.0, abs=1e-3)


def test_features_that_are_seldom_active_are_left_out():
    values = torch.zeros(2, 30, 10, 3)
    values[:, :20, 0, 0] = 1.0
    values[:, :19, :, 1] = 1.0  # on many tokens, of too few rows
    values[0, :, :, 2] = 1.0  # in one half alone
    assert find_often(values[0], values[1]).tolist() == [True, False, False]


def test_favoured_tokens_are_told_by_what_follows():
    """Feature 0 favours what follows it, feature 1 what does not, feature 2 anything."""
    generator = torch.Generator().manual_seed(0)
    size = 240
    ids = torch.randint(size, (400, 30), generator=generator)
    follows = torch.zeros(3, size)
    active = torch.zeros(400, 29, 3, dtype=torch.bool)
    active[..., 0] = ids[:, 1:] < 60
    active[..., 1] = ids[:, 1:] >= 60
    active[..., 2] = torch.rand(400, 29, generator=generator) < 0.5
    follows = count_next(ids, active, size)
    assert (follows[0, :60] > 3).all()
    assert (follows[0, 60:] == 0).all()
    weights = torch.rand(3, size, generator=generator)
    weights[:, :60] += 2.0
    told = tell_favoured(follows, weights)
    assert told[0] == 1.0
    assert told[1] == 0.0
    assert float(told[2]) == pytest.approx(0.5, abs=0.15)


def test_masked_cosines_are_whole_where_one_feature_is_a_part_of_another():
    whole = torch.tensor([1.0, 2.0, 3.0, 0.0, 0.0])[:, None]
    parts = torch.tensor([[1.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0] * 3])
    cosines = masked_cosines(whole, parts)
    torch.testing.assert_close(cosines, torch.tensor([[1.0, 1.0, 0.0]]))
    x, y = (torch.rand(50, n, generator=torch.Generator().manual_seed(n)) for n in (3, 4))
    x, y = x * (x > 0.6), y * (y > 0.6)
    cosines = masked_cosines(x, y)
    for i in range(3):
        for j in range(4):
            sides = [
                F.cosine_similarity(x[mask, i], y[mask, j], dim=0) for mask in (x[:, i] > 0, y[:, j] > 0)
            ]
            assert float(cosines[i, j]) == pytest.approx(float(max(sides)), abs=1e-5)


def test_siblings_and_bits():
    links = torch.tensor([[True, True, False, False, False], [False, False, True, True, False]])
    directions = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0], [-1.0, -1.0]])
    near = sibling_cosine(links, directions)
    assert near is not None
    assert near > 0.4
    assert sibling_cosine(links[:, [0, 2]], directions[[0, 2]]) is None
    tokens = torch.eye(4)
    values = torch.tensor([[1.0, 1.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    assert token_bits(values, tokens).tolist() == pytest.approx([0.0, 2.0])


def test_correlations_of_all_pairs():
    x, y = (torch.rand(30, n, generator=torch.Generator().manual_seed(n)) for n in (3, 5))
    both = torch.corrcoef(torch.cat([x, y], 1).T)
    torch.testing.assert_close(correlate_all(x, y), both[:3, 3:])
    assert correlate(x[:, 0], y[:, 1]) == pytest.approx(float(both[0, 4]), abs=1e-5)
    assert correlate(torch.ones(4), torch.rand(4)) == 0.0


def test_a_model_is_universal_with_itself_and_neurons_are_not_their_own_nearest():
    seed = seed_views()
    scores = measure_universality(seed, seed, (names.NEURONS,), lambda done, total: None).of(names.NEURONS)
    assert scores.nearest == pytest.approx(1.0)
    assert scores.permuted < 0.5
    assert scores.neurons < 0.9
    assert scores.deciles == pytest.approx((1.0,) * 11, abs=1e-4)


def calling_views() -> SeedViews:
    """A model of one seed whose neuron n fires on token n alone and predicts token n + 1, somewhat.

    Half of the stream holds the token and is not unembedded, the other half what is predicted.
    """
    size = 16
    kind = TinyConfig(
        layers=1, mlp=True, activation="relu", width=2 * size, heads=2, context=16, seeds=1, expansion=1
    )
    model = TinyTransformers(kind, size, 0)
    fill_weights(model, [torch.zeros_like(part) for part in model.parameters()])
    model.embedding[0, :, :size] = torch.eye(size)
    model.layers[0]["up"][0, :size, :size] = torch.eye(size)
    model.layers[0]["down"][0, :size, size:] = 0.1 * torch.eye(size).roll(1, 1)
    model.unembedding[0, size:] = 0.5 * torch.eye(size)
    view = view_neurons(model)
    ids = torch.randint(size, (64, 16), generator=torch.Generator().manual_seed(0))
    return SeedViews({view.name: view}, ids, ids, size)


def test_calls_are_foretold_and_found():
    seed = calling_views()
    view = seed.views[names.NEURONS]
    values = view.read(seed.test)
    said = predict_calls(view, seed, values, torch.arange(32) < 16)
    assert said.argmax(1).tolist() == [(n + 1) % 16 for n in range(16)]
    config = MonosemanticityConfig(contexts=30, draws=8)
    draw = torch.Generator().manual_seed(0)
    measured = measure_calls(view, seed.test, values, 3, config, draw)[:16]
    assert int(measured.argmax()) == 4
    assert correlate(measured, said[3]) > 0.9
    assert abs(correlate(measured, said[7])) < 0.5
    # the closed form: how much likelier the token becomes, since each fires on its own token alone
    spots = (values[:, :-1, 3] > 0).nonzero()[:, 0]
    part = values[..., 3, None] * view.directions[3]
    with_it, without = (
        view.model.run(seed.test[None], edit=lambda _, x, __, take=take: x - take * part)[0][0].softmax(-1)
        for take in (0.0, 1.0)
    )
    change = (with_it - without)[:, :-1][values[:, :-1, 3] > 0].mean(0)
    assert len(spots) >= 30
    assert float(measured[4]) == pytest.approx(float(change[4]), abs=0.02)


def test_calls_are_counted_in_text():
    values = torch.zeros(1, 5, 2)
    values[0, [0, 2], 0] = 1.0
    values[0, [1, 4], 1] = 1.0
    follows, alone = count_calls(values)
    torch.testing.assert_close(follows, torch.tensor([[0.0, 0.5], [1.0, 0.0]]))
    torch.testing.assert_close(alone, torch.tensor([0.25, 0.5]))


def test_the_likeliest_circle_is_found():
    follows = torch.full((5, 5), 0.1)
    called = torch.tensor([[1, 2], [2, 0], [0, 3], [4, 2], [3, 0]])
    follows[0, 1] = follows[1, 2] = follows[2, 0] = 0.9
    assert find_circle(called, follows, 3) == (0, 1, 2)
    follows[3, 4] = follows[4, 3] = 0.8
    assert find_circle(called, follows, 2) == (3, 4)
    assert find_circle(torch.tensor([[1], [2], [3], [4], [0]]), follows, 2) == ()


@pytest.mark.parametrize("wrong", [{"focus": 3}, {"model": KIND.model_copy(update={"seeds": 1})}])
def test_settings_that_cannot_be_measured_are_refused(wrong):
    with pytest.raises(ValueError, match=r"must be one of the sizes|two seeds or more"):
        MonosemanticityConfig(**wrong)


def test_the_paper_preset_has_the_papers_constants():
    paper = names.PRESETS["paper"]
    assert (paper.model.width, paper.model.width * paper.model.expansion) == (128, 512)
    assert (paper.sizes[0], paper.sizes[-1], paper.focus) == (1, 256, 8)
    assert paper.steps * paper.batch_tokens == pytest.approx(8e9, rel=0.03)
    assert [round(share * paper.steps) for share in paper.resample_at] == [25_000, 50_000, 75_000, 100_000]
    assert round(paper.dead_share * paper.steps) == 12_500
    assert paper.buffer_batches * paper.batch_tokens == 819_200
