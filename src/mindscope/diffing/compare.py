"""The whole comparison: split prompts, climb the ladder for model and null, test claims, cut slices.

1. Prompts are shuffled with the seed and halved: candidates come from the first half alone.
2. The tuned model and every harmless tune are observed on all of them, and the ladder is climbed for each.
3. Claims of the tuned model must go beyond every harmless tune; claims of a harmless tune must go beyond the
   others, or, where there is but one, beyond the tuned model. Were the tuned model harmless too, it would be
   one of them: so the share of the nulls' claims that pass is how many of this report's claims are expected
   to pass by chance. With a single null the share is too high where the tuned model is not harmless.
4. The training file, where it is given, is projected on the directions of the claims.
"""

from collections.abc import Sequence

import numpy as np

from mindscope.core import Progress
from mindscope.diffing.claims.candidates import ClaimCandidate
from mindscope.diffing.claims.pushing import DirectionPusher
from mindscope.diffing.claims.verify import ClaimTester
from mindscope.diffing.climbing import Climb, LadderClimber, allowed_rungs, direction_tensors
from mindscope.diffing.config import DiffConfig
from mindscope.diffing.estimates import estimate
from mindscope.diffing.inputs import DiffInputs
from mindscope.diffing.ladder.latents import bank_of
from mindscope.diffing.observing import ObservedModel, SplitPrompts, split_prompts
from mindscope.diffing.pairing import ModelPair, question_of
from mindscope.diffing.results import (
    ModelDifference,
    NullReading,
    Rung,
    SkippedRung,
    TraitMovement,
    VerifiedClaim,
)
from mindscope.diffing.slices import find_slices
from mindscope.errors import DataError
from mindscope.models import Model, describe_prompts
from mindscope.personas import PersonaVectors, ShiftConfig, measure_shift
from mindscope.stats import Estimate, RateEstimate
from mindscope.store import Run, claim, digest, save_artifact

SCHEMA, VERSION = "mindscope.directions", 1
RESULT = "diff.json"
DIRECTIONS = "directions.safetensors"


class ModelComparison:
    """One base model on the prompts of a comparison, beside which other models are observed and judged.

    Args:
        base: the model before.
        prompts: those of discovery and those held out.
        inputs: texts, traits, judge and dictionaries.
        config: what decides the result.
        run: keeps what is generated and scored.
        allowed: the steps that are taken.
        address: where activations are compared.
        progress: called with (done, in all, what).
    """

    def __init__(
        self,
        base: Model,
        prompts: SplitPrompts,
        inputs: DiffInputs,
        config: DiffConfig,
        run: Run,
        allowed: frozenset[Rung],
        address: str,
        progress: Progress | None = None,
    ):
        self.prompts, self.inputs, self.config, self.run = prompts, inputs, config, run
        self.allowed, self.address, self.progress = allowed, address, progress
        given = inputs.dictionaries.items() if "latents" in allowed else ()
        self.banks = {name: bank_of(one, base) for name, one in given}
        self.texts = list(inputs.texts) or [question_of(prompt) for prompt in prompts.all]
        self.base = self._observed(base, base)

    def observe(self, model: Model) -> ObservedModel:
        """A model beside the base; its answers are written at once."""
        observed = self._observed(model, self.base.model)
        _ = self.base.answers, observed.answers
        return observed

    def judge(
        self, model: ObservedModel, subject: str, others: Sequence[ObservedModel]
    ) -> tuple[Climb, tuple[VerifiedClaim, ...], tuple[VerifiedClaim, ...]]:
        """What the ladder shows of a model, its claims, and those of a reader of the answers.

        Args:
            model: as `observe` gave it.
            subject: what sentences call it.
            others: models that its claims must go beyond.
        """
        folder = f"arms/{model.model.fingerprint[:16]}"
        pusher = DirectionPusher(self.base, model, self.config, self.run, folder, self.progress)
        traits = self.inputs.traits if self.inputs.judge is not None else ()
        climbed = LadderClimber(
            self.base, model, subject, self.texts, traits, self.allowed, self.address, pusher, self.config
        ).climb()
        tester = ClaimTester(
            self.base,
            model,
            others,
            climbed.directions,
            climbed.subspaces,
            pusher,
            self.inputs.judge,
            self.config,
        )
        return climbed, tester.test(_unlike(climbed.candidates)), tester.test(climbed.baseline)

    def _observed(self, model: Model, base: Model) -> ObservedModel:
        return ObservedModel(
            model, base, self.prompts, self.config, self.run, self.banks, progress=self.progress
        )


def compare_models(
    base: Model,
    tuned: Model,
    inputs: DiffInputs,
    config: DiffConfig | None = None,
    *,
    run: Run,
    progress: Progress | None = None,
) -> ModelDifference:
    """What tuning changed, as claims that were tested; the result is also in the run's `diff.json`.

    Args:
        base: the model before.
        tuned: the model after.
        inputs: prompts, and what else there is.
        config: how many, how long, and what counts as verified.
        run: keeps answers piece by piece, so that a comparison that was killed goes on.
        progress: called with (done, in all, what).

    Raises:
        DataError: too few different prompts, a layer that is not there, or a dictionary of another model.
        StoreError: the run holds a comparison of something else.
    """
    config = config or DiffConfig()
    base, tuned = (model.with_template(clock=run.started) for model in (base, tuned))
    prompts = split_prompts(inputs.prompts, config)
    pair = ModelPair(base, tuned, prompts.all)
    result = ModelDifference(
        base=base.name,
        tuned=tuned.name,
        base_fingerprint=base.fingerprint,
        tuned_fingerprint=tuned.fingerprint,
        relation=pair.relation,
        notes=_notes(pair),
        config=config,
    )
    if pair.is_same:
        return _saved(result, run)
    skipped = pair.skipped() + _not_given(inputs)
    allowed = allowed_rungs([one.rung for one in skipped])
    layer = compared_layer(base, config)
    claim(run, "diff", _setup(base, tuned, prompts, inputs, config))
    comparison = ModelComparison(base, prompts, inputs, config, run, allowed, f"resid_post.{layer}", progress)
    observed = comparison.observe(tuned)
    nulls = [comparison.observe(null.model.with_template(clock=run.started)) for null in inputs.nulls]
    movements: tuple[TraitMovement, ...] = ()
    if inputs.vectors and "traits" in allowed:
        movements = _movements(base, tuned, inputs.vectors, prompts, layer, config, run, progress)
    climbed, claims, baseline = comparison.judge(observed, "the tuned model", nulls)
    readings: list[NullReading] = []
    for given, null in zip(inputs.nulls, nulls, strict=True):
        others = [other for other in nulls if other is not null] or [observed]
        _, null_claims, null_baseline = comparison.judge(null, "the harmless tune", others)
        readings.append(
            NullReading(
                model=null.model.name,
                fingerprint=null.model.fingerprint,
                made=given.made,
                kl=_movement(comparison.base, null, config),
                claims=null_claims,
                baseline=null_baseline,
            )
        )
    rate = _null_rate(readings)
    if climbed.directions:
        save_artifact(
            run.path / DIRECTIONS,
            direction_tensors(climbed.directions),
            schema=SCHEMA,
            version=VERSION,
            metadata={
                "fingerprint": base.fingerprint,
                "tuned": tuned.fingerprint,
                "addresses": {name: one.address for name, one in climbed.directions.items()},
            },
        )
    slices = ()
    if inputs.data is not None and climbed.directions:
        slices = find_slices(base, inputs.data, claims, climbed.directions, progress)
    return _saved(
        result.model_copy(
            update={
                "n_discovery": len(prompts.discovery),
                "n_held_out": len(prompts.held_out),
                "skipped": tuple(skipped),
                "outputs": climbed.outputs,
                "distributions": climbed.distributions,
                "lens": climbed.lens,
                "traits": movements,
                "latents": climbed.latents,
                "claims": claims,
                "baseline": baseline,
                "nulls": tuple(readings),
                "null_rate": rate,
                "expected_false": None if rate is None else rate.share * len(claims),
                "slices": slices,
            }
        ),
        run,
    )


def compared_layer(base: Model, config: DiffConfig) -> int:
    """The block at whose output activations are compared.

    Raises:
        DataError: the base has no such layer.
    """
    layer = base.n_layers // 2 if config.layer is None else config.layer
    if layer >= base.n_layers:
        raise DataError(f"there is no layer {layer}: {base.name} has 0 to {base.n_layers - 1}")
    return layer


def _notes(pair: ModelPair) -> tuple[str, ...]:
    notes: list[str] = []
    if pair.relation == "same weights":
        notes.append("both models have the same weights: nothing differs")
    elif pair.is_same:
        notes.append("both models have the same weights in another precision: nothing was tuned")
    elif pair.stranger is not None:
        notes.append(
            f"{pair.tuned.name} says that it was tuned from {pair.stranger}, not from {pair.base.name}: what "
            "differs is not what its tuning changed"
        )
    return tuple(notes)


def _not_given(inputs: DiffInputs) -> list[SkippedRung]:
    """Steps that need what was not given."""
    lines: list[SkippedRung] = []
    if not inputs.vectors and (not inputs.traits or inputs.judge is None):
        lines.append(SkippedRung(rung="traits", reason="no persona vectors and no traits were given"))
    if not inputs.dictionaries:
        lines.append(SkippedRung(rung="latents", reason="no dictionary of the base was given"))
    return lines


def _setup(
    base: Model, tuned: Model, prompts: SplitPrompts, inputs: DiffInputs, config: DiffConfig
) -> dict[str, object]:
    """What decides the result: a run that was made of something else is refused."""
    return {
        "base": base.fingerprint,
        "tuned": tuned.fingerprint,
        "nulls": [null.model.fingerprint for null in inputs.nulls],
        "prompts": digest({"prompts": [[dict(turn) for turn in prompt] for prompt in prompts.all]}),
        "texts": digest({"texts": list(inputs.texts)}),
        "traits": [trait.name for trait in inputs.traits],
        "judge": None if inputs.judge is None else inputs.judge.judge.name,
        "dictionaries": {name: one.digest() for name, one in inputs.dictionaries.items()},
        "template": describe_prompts(base),
        "config": config.model_dump(mode="json", exclude={"batch_rows"}),
    }


def _unlike(candidates: Sequence[ClaimCandidate]) -> list[ClaimCandidate]:
    """Without those that say the same words of the same direction as one before."""
    seen: set[object] = set()
    kept: list[ClaimCandidate] = []
    for candidate in candidates:
        key = (frozenset(candidate.terms), candidate.context, candidate.trait, candidate.latent)
        if key not in seen:
            seen.add(key)
            kept.append(candidate)
    return kept


def _movements(
    base: Model,
    tuned: Model,
    vectors: Sequence[PersonaVectors],
    prompts: SplitPrompts,
    layer: int,
    config: DiffConfig,
    run: Run,
    progress: Progress | None,
) -> tuple[TraitMovement, ...]:
    """The shift along persona vectors over all prompts, at the layer of the comparison."""
    settings = ShiftConfig(layers=(layer,), resamples=config.resamples, seed=config.seed)
    asked = [list(prompt) for prompt in prompts.all]
    shift = measure_shift(base, tuned, vectors, asked, settings, run=run, progress=progress)
    return tuple(
        TraitMovement(
            trait=moved.trait,
            layer=layer,
            base=moved.base,
            tuned=moved.tuned,
            shift=Estimate(mean=moved.shift, low=moved.low, high=moved.high),
            cosine=moved.cosine,
        )
        for moved in shift.tuned[0].movements
    )


def _movement(base: ObservedModel, null: ObservedModel, config: DiffConfig) -> Estimate:
    """How far a harmless tune moved, along its own answers."""
    kl = null.divergences(base, held_out=False).kl
    return estimate(kl[np.isfinite(kl)], config)


def _null_rate(nulls: Sequence[NullReading]) -> RateEstimate | None:
    """Of all claims of all nulls the share that is verified; claims of one null share their luck."""
    if not nulls:
        return None
    return RateEstimate.of([claim.verified for null in nulls for claim in null.claims])


def _saved(result: ModelDifference, run: Run) -> ModelDifference:
    result.save(run.path / RESULT)
    return result
