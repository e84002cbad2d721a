"""Claims: each candidate measured on held-out prompts, beside the null, and with its direction pushed.

1. Held out: the tuned model's value minus the base's, prompt by prompt, on prompts that no candidate came
   from; a sign-flip test (for contexts a permutation of which prompts hold the word), and Benjamini and
   Hochberg's procedure over all claims of the report.
2. Beyond the null: the tuned model's value minus the harmless tune's, prompt by prompt, must lie above zero
   with its whole 95 % interval. What any tuning of this size does is no claim about this one.
3. Raised on base, lowered on tuned: the arms of `pushing.py`, and for contexts those of `carrying.py`. Claims
   about words and traits are measured on what is said; claims about contexts and latents by how likely the
   tuned model's own answers become. An arm less its control must lie above zero (below, for the second) with
   its whole interval.

A claim is verified if every test was made and passed. What fails is kept, with the test that it failed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mindscope.diffing.claims.candidates import ClaimCandidate, holds_word
from mindscope.diffing.claims.carrying import ChangeSubspace, carried_losses
from mindscope.diffing.claims.pushing import DirectionPusher, PushDirection
from mindscope.diffing.config import DiffConfig
from mindscope.diffing.estimates import estimate
from mindscope.diffing.observing import ObservedModel, judge_texts
from mindscope.diffing.results import CheckName, ClaimCheck, VerifiedClaim
from mindscope.diffing.terms import term_densities
from mindscope.judges import Judge, Rubric
from mindscope.stats import Estimate, adjust_p_values, sign_flip_test

LEAST_UNITS = 3
"""Fewer prompts have no interval worth the name."""
PERMUTATIONS = 4000


@dataclass(frozen=True)
class ClaimValues:
    """What a claim measures on each held-out prompt; NaN where it cannot be measured.

    Attributes:
        base: of the base model.
        model: of the other model.
        members: the prompts that it is about; None where it is about all.
    """

    base: np.ndarray
    model: np.ndarray
    members: np.ndarray | None = None


@dataclass(frozen=True)
class TraitJudge:
    """Who scores claims about traits, by trait."""

    judge: Judge
    rubrics: Mapping[str, Rubric]


@dataclass
class ClaimTester:
    """Tests candidates of one ladder.

    Attributes:
        base: the base model on all prompts.
        tuned: the model that claims are about.
        others: what the claims must go beyond: the harmless tunes, or for a null the tuned model.
        directions: by name.
        subspaces: of contexts, by the same names.
        pusher: runs the arms.
        judge: scores traits; None where none is given.
    """

    base: ObservedModel
    tuned: ObservedModel
    others: Sequence[ObservedModel]
    directions: Mapping[str, PushDirection]
    subspaces: Mapping[str, ChangeSubspace]
    pusher: DirectionPusher
    judge: TraitJudge | None
    config: DiffConfig

    def test(self, candidates: Sequence[ClaimCandidate]) -> tuple[VerifiedClaim, ...]:
        """Every candidate as a claim, verified or not, in order."""
        values = [self.values(candidate, self.tuned) for candidate in candidates]
        p_values = [self._p(candidate, value) for candidate, value in zip(candidates, values, strict=True)]
        q_values = adjust_p_values(p_values)
        return tuple(
            self._claim(candidate, value, float(p), float(q))
            for candidate, value, p, q in zip(candidates, values, p_values, q_values, strict=True)
        )

    def values(self, candidate: ClaimCandidate, model: ObservedModel) -> ClaimValues:
        """The measure of a candidate in the base and in another model, on the held-out prompts."""
        if candidate.context is not None:
            js = model.divergences(self.base, held_out=True).js
            prompts = self.base.prompts.held_out
            members = np.array([holds_word(prompt, candidate.context) for prompt in prompts])
            return ClaimValues(np.zeros_like(js), js, members)
        if candidate.trait is not None:
            assert self.judge is not None
            rubric = self.judge.rubrics[candidate.trait]
            return ClaimValues(
                self.base.scores(self.judge.judge, rubric), model.scores(self.judge.judge, rubric)
            )
        if candidate.latent is not None:
            name, latent = candidate.latent
            before, after = (
                100 * model.rates(name, held_out=True, of_base=of_base).active[:, latent]
                for of_base in (True, False)
            )
            return ClaimValues(before, after)
        return ClaimValues(
            term_densities(self.base.held_out_answers, candidate.terms),
            term_densities(model.held_out_answers, candidate.terms),
        )

    def _p(self, candidate: ClaimCandidate, values: ClaimValues) -> float:
        change = candidate.sign * (values.model - values.base)
        known = np.isfinite(change)
        if values.members is None:
            return float(sign_flip_test(change[known], self.config.seed)) if known.any() else 1.0
        inside = values.members & known
        if not inside.any() or not (known & ~inside).any():
            return 1.0
        return _permutation_p(change[known], inside[known], self.config.seed)

    def _claim(self, candidate: ClaimCandidate, values: ClaimValues, p: float, q: float) -> VerifiedClaim:
        direction = None if candidate.direction is None else self.directions.get(candidate.direction)
        checks = [self._held_out(candidate, values, q)]
        checks += [self._beyond(candidate, values, other) for other in self.others]
        strength = None
        if candidate.source != "outputs":
            raised, lowered = self._pushed(candidate, values, direction)
            checks += [raised, lowered]
            if direction is not None:
                strength = self._strength_of(candidate, direction)
        inside = np.isfinite(values.base + values.model)
        if values.members is not None:
            inside &= values.members
        return VerifiedClaim(
            name=candidate.name,
            source=candidate.source,
            sentence=candidate.sentence,
            terms=candidate.terms,
            context=candidate.context,
            typical=candidate.typical,
            trait=candidate.trait,
            units=candidate.units,
            base=float(values.base[inside].mean()) if inside.any() else 0.0,
            tuned=float(values.model[inside].mean()) if inside.any() else 0.0,
            p=p,
            q=q,
            direction=None if direction is None else direction.name,
            strength=strength,
            checks=tuple(checks),
            verified=all(check.passed for check in checks),
        )

    def _strength_of(self, candidate: ClaimCandidate, direction: PushDirection) -> float:
        if candidate.context is not None or candidate.latent is not None:
            return direction.gap / direction.norm
        return self.pusher.strength(direction)

    def _held_out(self, candidate: ClaimCandidate, values: ClaimValues, q: float) -> ClaimCheck:
        effect = self._effect(candidate.sign * (values.model - values.base), values.members)
        if effect is None:
            return ClaimCheck(name="held out", effect=None, passed=False, note=self._too_few(candidate))
        passed = effect.mean > 0 and q <= self.config.false_discovery_rate
        return ClaimCheck(name="held out", effect=effect, passed=passed)

    def _beyond(self, candidate: ClaimCandidate, values: ClaimValues, other: ObservedModel) -> ClaimCheck:
        theirs = self.values(candidate, other)
        # Less its own base value: for latents the two models are read on their own answers.
        change = candidate.sign * ((values.model - values.base) - (theirs.model - theirs.base))
        effect = self._effect(change, values.members)
        return ClaimCheck(
            name="beyond the null",
            effect=effect,
            passed=effect is not None and effect.low > 0,
            note=f"beside {other.model.name}" if effect is not None else self._too_few(candidate),
        )

    def _pushed(
        self, candidate: ClaimCandidate, values: ClaimValues, direction: PushDirection | None
    ) -> tuple[ClaimCheck, ClaimCheck]:
        """The arms less their controls. Both effects count towards the claim: above zero is as claimed."""
        if direction is None:
            note = "there is no direction to push along in these two models"
            return _not_pushed(note)
        if candidate.context is not None and direction.name not in self.subspaces:
            return _not_pushed("these prompts' answers are too short to find what carries the difference")
        if candidate.context is not None or candidate.latent is not None:
            # Losses of the tuned model's answers: a push that carries the claim lowers the base's and raises
            # the tuned model's, whatever the sign of the claim.
            losses = (
                self._carried(self.subspaces[direction.name], values.members)
                if candidate.context is not None
                else self.pusher.losses(direction)
            )
            raised = losses["raised, control"] - losses["raised"]
            lowered = losses["lowered"] - losses["lowered, control"]
            note = "nats a token of the tuned model's answers"
            if candidate.context is not None:
                known = self.subspaces[direction.name].has_control
                note += f", beside {'directions of other prompts' if known else 'random directions'}"
            members = values.members
        else:
            measured = {
                arm: self._measure(candidate, direction, arm, texts)
                for arm, texts in self.pusher.answers(direction).items()
            }
            raised = candidate.sign * (measured["raised"] - measured["raised, control"])
            lowered = candidate.sign * (measured["lowered, control"] - measured["lowered"])
            note, members = "", values.members
        return (
            self._push_check("raised on base", raised, members, note),
            self._push_check("lowered on tuned", lowered, members, note),
        )

    def _carried(self, subspace: ChangeSubspace, members: np.ndarray | None) -> dict[str, np.ndarray]:
        """The arms of a context, on its held-out prompts alone."""
        assert members is not None  # a context has members
        rows = self.tuned.rows(held_out=True)
        inside = np.flatnonzero(members)
        carried = carried_losses(
            self.base.model,
            self.tuned.model,
            [rows[index] for index in inside],
            subspace,
            self.config.seed,
        )
        losses = {arm: np.full(len(rows), np.nan) for arm in carried}
        for arm, values in carried.items():
            losses[arm][inside] = values
        return losses

    def _push_check(
        self, name: CheckName, change: np.ndarray, members: np.ndarray | None, note: str
    ) -> ClaimCheck:
        known = np.isfinite(change) if members is None else np.isfinite(change) & members
        if known.sum() < LEAST_UNITS:
            return ClaimCheck(name=name, effect=None, passed=False, note="too few prompts")
        effect = estimate(change[known], self.config)
        return ClaimCheck(name=name, effect=effect, passed=effect.low > 0, note=note)

    def _measure(
        self, candidate: ClaimCandidate, direction: PushDirection, arm: str, texts: Sequence[str]
    ) -> np.ndarray:
        if candidate.trait is None:
            return term_densities(texts, candidate.terms)
        assert self.judge is not None
        return judge_texts(
            self.judge.judge,
            self.judge.rubrics[candidate.trait],
            self.base.prompts.held_out[: len(texts)],
            texts,
            self.pusher.run,
            f"{self.pusher.folder}/scores/{direction.name}/{arm.replace(', ', '-')}",
        )

    def _effect(self, change: np.ndarray, members: np.ndarray | None) -> Estimate | None:
        """The mean over prompts, or the difference of means inside and outside a context."""
        known = np.isfinite(change)
        if members is None:
            return estimate(change[known], self.config) if known.sum() >= LEAST_UNITS else None
        inside, outside = change[known & members], change[known & ~members]
        if min(len(inside), len(outside)) < LEAST_UNITS:
            return None
        return _contrast(inside, outside, self.config)

    def _too_few(self, candidate: ClaimCandidate) -> str:
        return (
            f'fewer than {LEAST_UNITS} held-out prompts hold "{candidate.context}"'
            if candidate.context
            else (f"fewer than {LEAST_UNITS} held-out prompts have an answer that can be measured")
        )


def _not_pushed(note: str) -> tuple[ClaimCheck, ClaimCheck]:
    return (
        ClaimCheck(name="raised on base", effect=None, passed=False, note=note),
        ClaimCheck(name="lowered on tuned", effect=None, passed=False, note=note),
    )


def _contrast(inside: np.ndarray, outside: np.ndarray, config: DiffConfig) -> Estimate:
    """The difference of two means, each side's prompts drawn again."""
    draw = np.random.default_rng(config.seed)
    means = [
        values[draw.integers(0, len(values), (config.resamples, len(values)))].mean(1)
        for values in (inside, outside)
    ]
    low, high = np.quantile(means[0] - means[1], [0.025, 0.975]).tolist()
    return Estimate(mean=float(inside.mean() - outside.mean()), low=low, high=high)


def _permutation_p(values: np.ndarray, members: np.ndarray, seed: int) -> float:
    """That members lie above the others by chance: against random choices of as many members."""
    draw = np.random.default_rng(seed)
    count = int(members.sum())
    observed = values[members].sum()
    drawn = np.array([values[draw.permutation(len(values))[:count]].sum() for _ in range(PERMUTATIONS)])
    return float((1 + (drawn >= observed - 1e-12).sum()) / (1 + PERMUTATIONS))
