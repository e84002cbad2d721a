"""The study of crosscoders: its verdicts on numbers that show every claim, or none."""

import math

from mindscope.studies.common import CoderScores
from mindscope.studies.crosscoders import CrosscodersStudy
from mindscope.studies.crosscoders import config as names
from mindscope.studies.crosscoders.claims import list_claims
from mindscope.studies.crosscoders.results import (
    ConceptScores,
    DepthScores,
    LayerCoder,
    LayerSeed,
    PairScores,
    PairSeed,
)


def study_of(good: bool) -> CrosscodersStudy:
    """Numbers under which every claim holds, or none."""
    layers, pairs = [], []
    for seed in range(3):
        noise = 1 + 0.001 * seed
        better, worse = (1.0, 2.0) if good else (2.0, 1.0)
        losses = {
            names.ACAUSAL: better, names.SINGLE: worse, names.CAUSAL: 1.5 if good else 5.0, names.WIDE: 0.9,
            names.SHUFFLED: worse, names.TOP_ACAUSAL: 1.0, names.TOP_SINGLE: 1.0,
        }  # fmt: skip
        if not good:
            losses[names.WIDE] = 3.0
        coders = []
        for name in (*names.CODERS, names.RANDOM_ACAUSAL, names.RANDOM_SINGLE):
            scored = name in names.CODERS
            mixed = name == names.SHUFFLED
            active = 100.0 if name == names.WIDE and good else 10.0
            error = 2.0 if (name == names.WIDE) is good else 3.0
            explained = 0.9 if (name == names.TOP_ACAUSAL) is good else 0.8
            crossed = name in (names.ACAUSAL, names.TOP_ACAUSAL)
            f1 = 0.8 if crossed and good else 0.7 if not name.startswith("random") and not crossed else 0.3
            if name == names.WIDE and good:
                error = 3.0
            if name == names.ACAUSAL and good:
                error = 2.0
            shown = not mixed
            depth = DepthScores(
                single=(0.1 if shown else 0.9) if good else (0.9 if shown else 0.1),
                spanning=(0.7 if shown else 0.05) if good else 0.05,
                peaks=(0.5, 0.5),
                cosine=(0.6 if shown else 0.1) if good else 0.95 if shown else 0.97,
                lives=((1.0, 0.5), (0.5, 1.0)),
            )
            coders.append(
                LayerCoder(
                    name=name,
                    scores=CoderScores(
                        loss=losses[name] * noise, error=error * noise, explained=(explained * noise,),
                        active=active * noise, alive=9, latents=10,
                    ) if scored else None,
                    depth=depth if name in (names.ACAUSAL, names.SHUFFLED, names.TOP_ACAUSAL) else None,
                    concepts=ConceptScores(f1=f1 * noise, beyond=0.0, found=0.0),
                )
            )  # fmt: skip
        layers.append(LayerSeed(coders=tuple(coders), concepts=5, tokens=0.5 * noise, lives=()))
        scores = []
        for name in names.PAIRS:
            real_pair = name in (names.L1, names.L1_SHARED, names.TOP)
            exclusive = ((50, 51) if real_pair else (0, 0)) if good else ((0, 0) if real_pair else (9, 1))
            ratio = {names.L1: 10.0, names.L1_SHARED: 2.0}.get(name, 1.0)
            sign = 1 if good else -1
            l1 = name == names.L1
            cosine = sign * 0.3 * noise if real_pair else 0.0
            scores.append(
                PairScores(
                    name=name, explained=0.9, active=5.0, alive=1000, norms=(1.0,) * 20, exclusive=exclusive,
                    shared=100, density=(0.01 * ratio * noise, 0.01) if good else (None, 0.01),
                    tokens=sign * noise, mirrored=sign * 0.5 * noise, cosine=cosine,
                    claimed=40 + seed if l1 is good else 4, shrunk=0, decoupled=0,
                    real=5 if l1 is good else 4,
                )
            )  # fmt: skip
        pairs.append(PairSeed(tuned=f"t{seed}", moved=0.1, loss=(2.0, 1.0), pairs=tuple(scores)))
    return CrosscodersStudy(model="m", fingerprint="f", layers=tuple(layers), pairs=tuple(pairs))


def test_claims_hold_where_the_numbers_show_them_and_not_where_they_do_not():
    held, failed = (list_claims(study_of(good)) for good in (True, False))
    assert [(claim.subject, claim.statement) for claim in held if not claim.holds] == []
    assert [(claim.subject, claim.statement) for claim in failed if claim.holds] == []
    assert all(math.isfinite(len(claim.measured)) and claim.needed for claim in held)


def test_a_seed_without_exclusive_latents_shows_nothing_of_them():
    study = study_of(True)
    pairs = study.pairs[0].pairs
    bare = pairs[0].model_copy(update={"density": (None, 0.01), "tokens": None, "mirrored": None})
    first = study.pairs[0].model_copy(update={"pairs": (bare, *pairs[1:])})
    claims = list_claims(study.model_copy(update={"pairs": (first, *study.pairs[1:])}))
    lost = {claim.statement for claim in claims if not claim.holds}
    assert lost == {
        "exclusive latents are active more often",
        "they are active on more things than shared latents that are as dense",
        "those of one model mirror those of the other",
        "designated shared latents take the density away",
    }
    assert all("no such latents" in claim.measured for claim in claims if not claim.holds)
