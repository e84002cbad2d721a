"""The study of scaling: laws against closed forms, names that are dealt, children that are made, verdicts."""

import math
import random

import pytest
import torch
from torch.nn.functional import normalize

from mindscope.dictionaries import Dictionary
from mindscope.dictionaries.coder import Coder
from mindscope.errors import DataError
from mindscope.explain import LabelledText
from mindscope.features import Site
from mindscope.models import Row
from mindscope.studies.common import TokenPool, draw_shares
from mindscope.studies.scaling import ScalingConfig
from mindscope.studies.scaling.config import MODEL_PRESETS, PRESETS
from mindscope.studies.scaling.laws import PowerLaw, SeedLaws, find_optima, list_runs, predict_above_floor
from mindscope.studies.scaling.names import draw_weights, keep_texts, share_tokens
from mindscope.studies.scaling.neighbourhoods import (
    FiringLatents,
    list_children,
    measure_split,
    near_and_far,
)
from mindscope.studies.scaling.presence import PresenceFit, pool_texts
from mindscope.studies.scaling.results import LawRun, LawSeed

WIDTH = 16
SITE = Site("resid_post.0", WIDTH)


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def run_of(latents: int, steps: int, loss: float) -> LawRun:
    return LawRun(latents=latents, steps=steps, loss=loss, error=loss, active=1.0, alive=latents)


# Laws


def valley_runs(exponent: float, slope: float, floor: float = 0.0) -> LawSeed:
    """Losses with parabolas in log F whose bottoms are F = 2 C^exponent and E + 500 C^slope."""
    runs = []
    for compute in (2**12, 2**13, 2**14, 2**15):
        for latents in (32, 64, 128, 256, 512, 1024, 2048):
            away = math.log(latents / (2 * compute**exponent))
            runs.append(run_of(latents, compute // latents, floor + 500 * compute**slope + 3 * away**2))
    larger = (run_of(1024, 2**18 // 1024, floor + 500 * (2.0**18) ** slope),)
    return LawSeed(runs=tuple(runs), larger=larger)


def test_laws_that_losses_were_made_of_are_found():
    laws = SeedLaws.fit(valley_runs(0.6, -0.2))
    assert all(optimum.inside for optimum in laws.optima)
    assert laws.latents.exponent == pytest.approx(0.6, abs=1e-6)
    assert laws.loss.exponent == pytest.approx(-0.2, abs=1e-6)
    assert laws.loss.straight == pytest.approx(1.0)
    off = laws.predictions(valley_runs(0.6, -0.2).larger[0])
    assert off["law"] == pytest.approx(0.0, abs=1e-6)
    assert min(off["last"], off["shuffled"]) > 0.3


def test_losses_that_are_shuffled_have_no_law():
    seed = valley_runs(0.6, -0.2)
    losses = [run.loss for run in seed.runs]
    exponents, slopes = [], []
    for number in range(40):
        random.Random(number).shuffle(losses)
        runs = [run.model_copy(update={"loss": loss}) for run, loss in zip(seed.runs, losses, strict=True)]
        laws = SeedLaws.fit(LawSeed(runs=tuple(runs), larger=seed.larger))
        exponents.append(laws.latents.exponent)
        slopes.append(laws.loss.exponent)
    assert abs(sum(exponents) / 40) < 0.25  # sizes are the same at every compute: latents stay, steps grow
    assert abs(sum(slopes) / 40) < 0.05
    dealt = SeedLaws.fit(seed).dealt_latents
    assert abs(sum(dealt) / len(dealt)) < 0.1


def test_a_loss_with_a_floor_is_predicted_by_the_law_with_one():
    x = [2.0**power for power in range(10, 16)]
    y = [40 + 900 * c**-0.4 for c in x]
    assert predict_above_floor(x, y, 2.0**20) == pytest.approx(40 + 900 * 2.0**-8, rel=0.01)
    assert PowerLaw.fit(x, y).at(2.0**20) < 0.9 * (40 + 900 * 2.0**-8)


def test_the_best_run_at_the_edge_is_said_to_lie_there():
    runs = [run_of(2**n, 2 ** (10 - n), float(n)) for n in (3, 4, 5)]
    (optimum,) = find_optima(runs)
    assert not optimum.inside
    assert (optimum.latents, optimum.steps, optimum.loss) == (8, 128, 3.0)


def test_sizes_that_do_not_divide_a_compute_stand_with_the_others():
    runs = [
        run_of(latents, compute // latents, 5.0 + abs(latents - 30))
        for compute in (1000, 2000)
        for latents in (7, 30, 90)
    ]
    optima = find_optima(runs)
    assert len(optima) == 2
    assert all(optimum.inside for optimum in optima)


@pytest.mark.parametrize("config", [*PRESETS.values(), *MODEL_PRESETS.values()])
def test_every_run_of_a_preset_takes_a_step(config):
    assert min(steps for _, steps in list_runs(config)) >= 1


def test_runs_that_cannot_be_fitted_are_refused():
    with pytest.raises(ValueError, match="three"):
        ScalingConfig(law_latents=(8, 16))
    with pytest.raises(ValueError, match="give more"):
        ScalingConfig(law_latents=(8, 16, 4096), law_computes=(64, 128, 256))
    with pytest.raises(ValueError, match="smallest first"):
        ScalingConfig(sizes=(64, 32))


# Names


def test_tokens_are_drawn_as_often_as_their_shares_say():
    shares = torch.tensor([0.5, 0.0, 0.2, 0.3])
    drawn = draw_shares(shares, 20_000, torch.Generator().manual_seed(0))
    counts = torch.bincount(drawn, minlength=4) / 20_000
    torch.testing.assert_close(counts, shares, atol=0.015, rtol=0)
    assert counts[1] == 0


def text(*concepts: str, length: int = 4) -> LabelledText:
    return LabelledText(Row(tuple(range(length)), length), frozenset(concepts))


def test_names_have_weights_over_the_decades_and_texts_the_rarest_of_their_names():
    half = [text(name) for name in ("country: France", "country: Spain", "state: Wenoria", "country: Italy")]
    config = ScalingConfig(names=4, decades=3, least_texts=1)
    weights = draw_weights((half, half), config, seed=0)
    assert sorted(weights.values()) == pytest.approx([1e-3, 1e-2, 1e-1, 1.0])
    assert weights != draw_weights((half, half), config, seed=1)
    rare, common = (
        min(weights, key=weights.__getitem__),
        max(weights, key=weights.__getitem__),
    )
    texts = [text(common), text(rare, common), text("question: sum")]
    shared = share_tokens(texts, draw(12, WIDTH), SITE, weights, nameless=0.25)
    by_text = [float(shared.shares[shared.owner == n].sum()) for n in range(3)]
    assert by_text == pytest.approx([0.75 / 1.001, 0.75 * 1e-3 / 1.001, 0.25], rel=1e-4)


def test_texts_of_other_names_are_left_out_and_nameless_ones_stay_few():
    weights = {"country: France": 1.0}
    half = [text("country: France")] * 8 + [text("country: France", "country: Spain")] + [text("sum")] * 50
    kept = keep_texts(half, weights, nameless=0.2, seed=0)
    assert sum("country: Spain" in one.concepts for one in kept) == 0
    assert [sum(name in one.concepts for one in kept) for name in ("country: France", "sum")] == [8, 2]


def test_too_few_names_are_refused():
    half = [text("country: France")]
    with pytest.raises(DataError, match="give more texts"):
        draw_weights((half, half), ScalingConfig(names=4, least_texts=1), seed=0)


# Presence


def made_presence(slope: float, exponent: float) -> tuple[list[bool], list[float], list[int]]:
    rng = random.Random(0)
    frequencies = [10 ** rng.uniform(-5, -1) for _ in range(3000)]
    alive = [rng.choice((100, 400, 1600)) for _ in frequencies]
    odds = [slope * (math.log(f) - exponent * math.log(n)) for f, n in zip(frequencies, alive, strict=True)]
    return [rng.random() < 1 / (1 + math.exp(-o)) for o in odds], frequencies, alive


def test_a_threshold_that_falls_as_one_over_latents_is_found():
    fit = PresenceFit.of(*made_presence(1.5, -1.0))
    assert fit is not None
    assert fit.exponent is not None
    assert fit.frequency == pytest.approx(1.5, rel=0.1)
    assert fit.exponent == pytest.approx(-1.0, abs=0.1)
    assert fit.threshold(400) == pytest.approx(1 / 400, rel=0.25)
    assert fit.chance(1 / 400, 400) == pytest.approx(0.5, abs=0.05)


def test_no_threshold_without_a_rise():
    has, frequencies, alive = made_presence(1.5, -1.0)
    random.Random(1).shuffle(has)
    fit = PresenceFit.of(has, frequencies, alive)
    assert fit is not None
    assert abs(fit.frequency) < 0.1
    falling = PresenceFit.of([not own for own in made_presence(1.5, -1.0)[0]], frequencies, alive)
    assert falling is not None
    assert (falling.threshold(400), falling.exponent) == (None, None)
    assert PresenceFit.of([True] * 5, frequencies[:5], alive[:5]) is None


# Neighbourhoods


def coder(rows: torch.Tensor, bias: float = -0.5) -> Dictionary:
    rows = normalize(rows, dim=1)
    return Dictionary.single(
        Coder(rows, torch.full((len(rows),), bias), rows),
        torch.zeros(WIDTH),
        reads=(SITE,),
        writes=(SITE,),
        activation="relu",
        models={"0": "f"},
    )


def clusters() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Tokens around 4 orthogonal directions, each with 3 kinds; of each kind a token of the vocabulary."""
    centres = torch.eye(WIDTH)[:4]
    kinds = normalize(centres.repeat_interleave(3, 0) + 0.35 * torch.eye(WIDTH)[4:16], dim=1)
    ids = torch.arange(12).repeat(20)
    return kinds[ids] + 0.02 * draw(240, WIDTH), ids, kinds


def test_a_latent_splits_into_those_that_share_its_tokens():
    x, ids, kinds = clusters()
    parents = FiringLatents(coder(torch.eye(WIDTH)[:4]), x, ids)
    split = measure_split(parents, FiringLatents(coder(kinds), x, ids))
    assert (split.children, split.several) == (3.0, 1.0)
    again = measure_split(parents, FiringLatents(coder(torch.eye(WIDTH)[:4] + 0.01), x, ids))
    assert (again.children, again.several) == (1.0, 0.0)
    strangers = FiringLatents(coder(-kinds, bias=2.0), x, ids)  # fire everywhere, and write the opposite
    assert list_children(parents, strangers) == {}


def test_nearest_latents_fire_on_like_tokens_where_they_were_made_to():
    x, ids, _ = clusters()
    rows = torch.eye(WIDTH)[:4].repeat_interleave(8, 0) + 0.05 * draw(32, WIDTH, seed=3)
    made = FiringLatents(coder(rows), x, ids)
    near, far, cosine = near_and_far(made, made)
    assert near is not None
    assert far is not None
    assert cosine is not None
    assert near > 0.95
    assert far < 0.3
    assert 0.9 < cosine < 1 - 1e-6  # a latent is not near itself


def test_the_highest_activation_of_a_text_counts():
    x, _, kinds = clusters()
    own = share_tokens([text("a", length=120), text("b", length=120)], x, SITE, {}, nameless=0.5)
    dense = coder(kinds).encode(x).dense()
    table = pool_texts(own, coder(kinds).encode(x))
    torch.testing.assert_close(table, torch.stack([dense[:120].amax(0), dense[120:].amax(0)]))


def test_scales_go_by_how_often_tokens_are_drawn():
    train = torch.cat([torch.ones(10, WIDTH), 9 * torch.ones(10, WIDTH)])
    shares = torch.cat([torch.full((10,), 0.1), torch.zeros(10)])
    pool = TokenPool(train, train, (SITE,), ("resid_post.0",), {"0": "f"}, torch.zeros(20), shares)
    torch.testing.assert_close(pool.scales(), torch.ones(WIDTH))
