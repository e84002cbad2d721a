"""The study of scaling: its verdicts on numbers that show every claim, or none."""

import math

import pytest

from mindscope.studies.scaling import ScalingStudy
from mindscope.studies.scaling.claims import list_claims, list_clamp_claims
from mindscope.studies.scaling.report import build_page
from mindscope.studies.scaling.results import (
    ClampedName,
    ClampScores,
    ClampSeed,
    LawRun,
    LawSeed,
    NameSeed,
    NearScores,
    NearSeed,
    SizePresence,
    SplitScores,
)

COMPUTES = (2**11, 2**12, 2**13, 2**14)
SIZES = (96, 256, 768)
NAMES = 60


def run_of(latents: int, steps: int, loss: float) -> LawRun:
    return LawRun(latents=latents, steps=steps, loss=loss, error=loss, active=3.0, alive=latents)


def laws_of(good: bool, seed: int) -> LawSeed:
    """Valleys whose bottoms move with compute, or which are deepest at one size and rise with compute."""
    runs = []
    for number, compute in enumerate(COMPUTES):
        for latents in (16, 32, 64, 128, 256):
            bottom = 0.9 * compute**0.55 / 1.2 if good else 64
            height = 900 * compute**-0.2 if good else 100 + 10 * (number % 2)
            loss = height + 2 * math.log(latents / bottom) ** 2 + 0.01 * seed
            runs.append(run_of(latents, compute // latents, loss))
    larger = [run_of(n, 400, 900 * (400 * n) ** -0.2 if good else 110.0) for n in SIZES]
    return LawSeed(runs=tuple(runs), larger=tuple(larger))


def names_of(good: bool, seed: int) -> NameSeed:
    """F1s that pass where frequency is above half of one over latents, or for every other name."""
    frequencies = [10 ** (-1.8 - 2.4 * n / (NAMES - 1)) for n in range(NAMES)]

    def f1s(latents: int) -> tuple[float, ...]:
        if not good:
            return tuple(float((n + seed) % 2) for n in range(NAMES))
        # one of the names near the threshold is on the wrong side, as a fit needs it
        wrong = min(range(NAMES), key=lambda n: abs(math.log(frequencies[n] * latents * 2)))
        return tuple(float((f * latents > 0.5) != (n == wrong + seed)) for n, f in enumerate(frequencies))

    return NameSeed(
        names=tuple(f"country: {n}" for n in range(NAMES)),
        frequencies=tuple(frequencies),
        sizes=tuple(
            SizePresence(latents=size, alive=size, f1=f1s(size), random=(0.4,) * NAMES) for size in SIZES
        ),
        tokens=(1.0,) * NAMES,
    )


def near_of(good: bool, seed: int) -> NearSeed:
    shift = 0.01 * seed
    scores = [
        NearScores(
            latents=size,
            cosine=0.5,
            near=(0.5 if good else 0.11) + shift,
            far=0.1,
            random_near=0.15,
            random_far=0.1,
            tokens_near=0.6,
            tokens_far=0.1,
            kind=(0.7 if good else 0.3) + shift,
            kind_far=0.3 + (0 if good else 0.02),
            labelled=40,
        )
        for size in SIZES
    ]
    children = (1.1, 2.0, 4.0) if good else (1.1, 1.1, 1.1)
    split = [
        SplitScores(latents=size, children=own + shift, several=0.4)
        for size, own in zip((96, 256, 768), children, strict=True)
    ]
    return NearSeed(near=tuple(scores), split=tuple(split), families=())


def clamped_of(good: bool, seed: int) -> ClampSeed:
    def scores(names: float) -> tuple[ClampScores, ...]:
        return tuple(
            ClampScores(strength=s, names=names + 0.01 * seed, states=0.2, coherence=70.0 if good else 20.0)
            for s in (1.0, 2.0, 5.0, 10.0)
        )

    own = ClampedName(
        name="country: France",
        latent=3,
        f1=0.95,
        highest=40.0,
        untouched=ClampScores(strength=0.0, names=0.0, states=None, coherence=95.0),
        clamped=scores(0.8 if good else 0.1),
        stranger=scores(0.1),
        random=scores(0.0),
        example="What is it? – France",
    )
    return ClampSeed(names=(own,))


def study_of(good: bool) -> ScalingStudy:
    """Numbers under which every claim holds, or none."""
    seeds = range(3)
    return ScalingStudy(
        model="m",
        fingerprint="f",
        address="resid_post.1",
        laws=tuple(laws_of(good, seed) for seed in seeds),
        names=tuple(names_of(good, seed) for seed in seeds),
        near=tuple(near_of(good, seed) for seed in seeds),
        clamped=tuple(clamped_of(good, seed) for seed in seeds),
    )


def test_every_claim_holds_on_numbers_made_for_it():
    claims = list_claims(study_of(good=True))
    judged = [claim for claim in claims if claim.holds is not None]
    assert [claim.statement for claim in judged if not claim.holds] == []
    assert len(judged) > 12


def test_no_claim_holds_on_numbers_made_against_it():
    claims = list_claims(study_of(good=False))
    assert [claim.statement for claim in claims if claim.holds] == []


def test_a_run_that_is_hardly_larger_is_only_told():
    claims = {claim.subject: claim for claim in list_claims(study_of(good=True))}
    assert claims["96 latents, 2.34 times the compute"].holds is True
    study = study_of(good=True)
    near = study.laws[0].larger[0].model_copy(update={"steps": 200})
    laws = [law.model_copy(update={"larger": (near, *law.larger[1:])}) for law in study.laws]
    claims = {claim.subject: claim for claim in list_claims(study.model_copy(update={"laws": tuple(laws)}))}
    assert claims["96 latents, 1.17 times the compute"].holds is None


def test_without_a_latent_for_a_name_nothing_is_clamped():
    (claim,) = list_clamp_claims([clamped_of(good=True, seed=0), ClampSeed(names=())])
    assert claim.holds is False
    assert "none" in claim.measured


@pytest.mark.parametrize("good", [True, False])
def test_the_page_has_every_figure(good, tmp_path):
    study = study_of(good)
    page = build_page(study, list_claims(study), {"seed": 0}, {}).write(tmp_path / "page.html").read_text()
    assert page.count("<svg") == 5
    assert ("NO" in page) != good
