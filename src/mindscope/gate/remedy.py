"""Remedies head to head: the base tuned anew by the same recipe under each of them, and which to take.

1. What to treat: the traits whose behaviour failed, else those of other checks (`find_treated`).
2. Every arm is one training on the same data with the same seed. Nothing; preventative steering; an
   inoculation prompt; the trait's direction projected out (CAFT); a penalty on the projection; or the data
   without the samples that screening flagged.
3. Every arm answers the same held-out questions from the same seeds and takes the same test of knowledge; its
   checks are those of the gate. How much likelier it finds those answers of the data that screening did not
   flag says how much of the rest it learnt: a remedy that teaches nothing keeps a trait away too.
4. Of the arms that pass all checks, the one that learnt most is to be taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from mindscope.data import Conversation
from mindscope.errors import DataError, MindscopeError
from mindscope.finetuning import (
    ConceptAblation,
    FinetuneConfig,
    InoculationPrompt,
    PreventativeSteering,
    ProjectionPenalty,
    TrainingIntervention,
    TuningCard,
    finetune_model,
    load_base,
    missing_libraries,
)
from mindscope.gate.policy import LEAST_UNITS
from mindscope.gate.preparing import GateBench, WatchedTrait, source_rows
from mindscope.gate.results import (
    GateSection,
    RemedyArm,
    RemedyComparison,
    RemedyFall,
    RemedyName,
    SectionName,
    Verdict,
)
from mindscope.gate.sections.behaviour import ask_trait, behaviour_names, compare_arms
from mindscope.gate.sections.capability import compare_knowledge
from mindscope.gate.spec import GateSpec
from mindscope.jobs import load_model
from mindscope.models import Model, score_answer_tokens
from mindscope.screening import ScreeningResult
from mindscope.stats import Estimate, bootstrap_interval
from mindscope.store import measure_once

RESULT = "remedy.json"
LEAST_ROWS = 20
"""Conversations below which a training without the flagged samples is none."""
INSIDE: tuple[SectionName, ...] = ("screening", "shift", "alarms")
TREATED_BY: tuple[tuple[tuple[SectionName, ...], Verdict], ...] = (
    (("behaviour",), "fail"),
    (INSIDE, "fail"),
    (("behaviour",), "not enough evidence"),
    (INSIDE, "not enough evidence"),
)
"""Which checks say that a trait is to be treated; the first that name any."""
READ_ROWS = 150
"""Of the data's samples that screening did not flag, on which it is measured what an arm learnt."""


@dataclass(frozen=True)
class RemedyPlan:
    """How one arm is tuned.

    Attributes:
        about: in words.
        config: of the training.
        rows: what it is tuned on; None where it cannot be made, and `about` says why.
    """

    about: str
    config: FinetuneConfig
    rows: Sequence[Conversation] | None


def require_recipe(spec: GateSpec) -> TuningCard:
    """How the tuned model was tuned, before anything is measured.

    Raises:
        DataError: nothing beside its weights says so.
        MindscopeError: a library for training is missing.
    """
    if missing := missing_libraries():
        raise MindscopeError(
            f"--remedy trains, and needs {', '.join(missing)}: pip install 'mindscope[train]'"
        )
    try:
        return TuningCard.read(spec.tuned)
    except MindscopeError as error:
        raise DataError(f"--remedy tunes by the recipe of {spec.tuned}: {error}") from None


def compare_remedies(bench: GateBench, sections: Sequence[GateSection]) -> RemedyComparison:
    """All arms of the policy, measured; the result is also in the run's `remedy.json`."""
    treated = find_treated(bench.traits, sections)
    if not treated:
        result = RemedyComparison(traits=(), arms=(), falls=(), chosen=None, why="no trait needs a remedy")
    else:
        flagged = _read_flagged(bench, sections)
        plans = plan_remedies(bench, treated, require_recipe(bench.spec).config, flagged)
        arms = tuple(
            measure_once(
                bench.run,
                f"remedy/{name}.json",
                RemedyArm,
                lambda name=name, plan=plan: _measure_arm(bench, name, plan, flagged),
            )
            for name, plan in plans.items()
        )
        chosen, why = choose_remedy(arms)
        names = tuple(item.name for item in treated)
        result = RemedyComparison(traits=names, arms=arms, falls=_falls(arms, names), chosen=chosen, why=why)
    result.save(bench.run.path / RESULT)
    return result


def find_treated(traits: Sequence[WatchedTrait], sections: Sequence[GateSection]) -> list[WatchedTrait]:
    """The traits that answers show, else those that data or activations speak of; failed before open ones.

    Vectors of several traits may point alike, so that data and activations speak of all of them where answers
    show one: `TREATED_BY` has the order.
    """
    for names, verdict in TREATED_BY:
        found = {
            check.name.split("/")[1]
            for section in sections
            if section.decides and section.name in names
            for check in section.checks
            if check.verdict == verdict and not check.name.endswith("/coherence")
        }
        if treated := [item for item in traits if item.name in found]:
            return treated
    return []


def plan_remedies(
    bench: GateBench, treated: Sequence[WatchedTrait], recipe: FinetuneConfig, flagged: frozenset[int] | None
) -> dict[RemedyName, RemedyPlan]:
    """The arms of the policy, always with nothing first."""
    policy = bench.policy.remedy
    bare = recipe.model_copy(update={"interventions": (), "inoculation": None})
    rows = source_rows(bench.data)

    def with_edits(kind: Callable[[WatchedTrait], TrainingIntervention]) -> FinetuneConfig:
        return bare.model_copy(update={"interventions": tuple(kind(item) for item in treated)})

    prompt = "\n".join(item.trait.system_prompt("pos", 0) for item in treated)
    plans: dict[RemedyName, RemedyPlan] = {
        "nothing": RemedyPlan("the recipe as it is", bare, rows),
        "prevent": RemedyPlan(
            f"the vectors are added {policy.coefficient:g} times at all layers, as increments",
            with_edits(lambda item: PreventativeSteering(trait=item.name, coefficient=policy.coefficient)),
            rows,
        ),
        "inoculate": RemedyPlan(
            f"the prompts of training ask for it: {prompt!r}",
            bare.model_copy(update={"inoculation": InoculationPrompt(prompt=prompt)}),
            rows,
        ),
        "caft": RemedyPlan(
            "the directions are projected out where the vectors are read",
            with_edits(lambda item: ConceptAblation(trait=item.name, layer=item.layer)),
            rows,
        ),
        "penalty": RemedyPlan(
            f"the squared projections are punished with weight {policy.penalty:g}",
            with_edits(
                lambda item: ProjectionPenalty(trait=item.name, layer=item.layer, weight=policy.penalty)
            ),
            rows,
        ),
        "drop": _plan_drop(bare, rows, flagged),
    }
    return {name: plan for name, plan in plans.items() if name == "nothing" or name in policy.arms}


def choose_remedy(arms: Sequence[RemedyArm]) -> tuple[RemedyName | None, str]:
    """The arm to take, and why; None where none passes."""
    passing = [arm for arm in arms if arm.verdict == "pass"]
    if not passing:
        closest = min((arm for arm in arms if arm.checks), key=_worst_rise)
        return None, (
            f"no arm passes all its checks; the trait rises least under {closest.name}, by "
            f"{_worst_rise(closest):.1f} points: take other data"
        )
    if passing[0].name == "nothing":
        return "nothing", "the recipe as it is passes all of these checks"
    known = [arm for arm in passing if arm.learnt is not None]
    if known:
        best = max(known, key=lambda arm: arm.learnt.mean if arm.learnt is not None else 0.0)
        why = "it passes all checks, and of those that do it learnt most of the data that was not flagged"
    else:
        best = min(passing, key=_worst_rise)
        why = (
            "it passes all checks, and of those that do the trait rises least under it; too little of the "
            "data was not flagged to tell how much of it an arm learnt"
        )
    return best.name, why


def _plan_drop(
    bare: FinetuneConfig, rows: Sequence[Conversation], flagged: frozenset[int] | None
) -> RemedyPlan:
    if flagged is None:
        return RemedyPlan("the data was not screened, so nothing is known to be dropped", bare, None)
    kept = [row for number, row in enumerate(rows, 1) if number not in flagged]
    if len(kept) < LEAST_ROWS:
        return RemedyPlan(f"only {len(kept)} of {len(rows)} samples are not flagged", bare, None)
    return RemedyPlan(f"without the {len(rows) - len(kept)} samples that are flagged", bare, kept)


def _read_flagged(bench: GateBench, sections: Sequence[GateSection]) -> frozenset[int] | None:
    """The numbers of the rows that screening flagged on any trait, from 1; None without a screening."""
    from pyarrow import parquet

    artefacts = [section.artefact for section in sections if section.name == "screening" and section.artefact]
    if not artefacts:
        return None
    folder = ScreeningResult.load(bench.run.path / artefacts[0]).folder
    table = parquet.read_table(bench.run.path / folder / "scores.parquet", columns=["row", "flagged"])
    return frozenset(row for row, flag in zip(*table.to_pydict().values(), strict=True) if flag)


def _measure_arm(
    bench: GateBench, name: RemedyName, plan: RemedyPlan, flagged: frozenset[int] | None
) -> RemedyArm:
    if plan.rows is None:
        return RemedyArm(name=name, about=plan.about, rows=0)
    bench.reporter.say(f"remedy {name}: {plan.about}")
    model = _tune(bench, name, plan)
    checks = []
    scores: dict[str, tuple[float | None, ...]] = {}
    for item in bench.traits:
        if item.judge is None:
            continue
        base = ask_trait(bench, item, bench.base, "base")
        tuned = ask_trait(bench, item, model, f"remedy-{name}")
        checks += compare_arms(bench, item, base, tuned, behaviour_names(bench, item))
        scores[item.name] = tuned.scores.by_question
    checks.append(compare_knowledge(bench, model, "capability/knowledge"))
    return RemedyArm(
        name=name,
        about=plan.about,
        rows=len(plan.rows),
        checks=tuple(checks),
        by_question=scores,
        learnt=_learnt(bench, model, flagged),
    )


def _tune(bench: GateBench, name: RemedyName, plan: RemedyPlan) -> Model:
    assert plan.rows is not None
    spec = bench.spec
    base = load_base(spec.base, plan.config, spec.load_options("auto"))
    base.vectors_of_base = True
    used = {item.trait for item in plan.config.interventions}
    tuned = finetune_model(
        base,
        plan.rows,
        bench.run,
        plan.config,
        vectors=[item.vectors.for_model(base) for item in bench.traits if item.name in used],
        name=f"remedy/{name}",
        device=spec.device,
        progress=bench.progress,
    )
    precision = str(bench.base.dtype).removeprefix("torch.")
    model = load_model(str(tuned.path), spec.load_options(precision), spec.template_option)
    return model.with_template(clock=bench.run.started)


def _learnt(bench: GateBench, model: Model, flagged: frozenset[int] | None) -> Estimate | None:
    """How many nats a token likelier the data's answers became that screening did not flag."""
    if flagged is None:
        return None
    kept = [row for number, row in enumerate(source_rows(bench.data), 1) if number not in flagged]
    if len(kept) < LEAST_UNITS:
        return None
    kept = kept[:READ_ROWS]
    before, after = (
        [
            tokens.double().mean()
            for tokens in score_answer_tokens(one, [one.chat(row.prompt, answer=row.answer) for row in kept])
        ]
        for one in (bench.base, model)
    )
    gained = torch.stack(after) - torch.stack(before)
    low, high = bootstrap_interval(gained)
    return Estimate(mean=float(gained.mean()), low=low, high=high)


def _falls(arms: Sequence[RemedyArm], traits: Sequence[str]) -> tuple[RemedyFall, ...]:
    """How much lower each arm scores than nothing, question by question."""
    nothing = arms[0].by_question
    falls: list[RemedyFall] = []
    for arm in arms[1:]:
        for trait in traits:
            pairs = zip(nothing.get(trait, ()), arm.by_question.get(trait, ()), strict=False)
            lower = [own - other for own, other in pairs if own is not None and other is not None]
            if len(lower) >= LEAST_UNITS:
                low, high = bootstrap_interval(torch.tensor(lower, dtype=torch.float64))
                fall = Estimate(mean=sum(lower) / len(lower), low=low, high=high)
                falls.append(RemedyFall(arm=arm.name, trait=trait, fall=fall))
    return tuple(falls)


def _worst_rise(arm: RemedyArm) -> float:
    """The largest rise of any trait."""
    return max(
        (
            check.estimate
            for check in arm.checks
            if check.estimate is not None
            and check.name.startswith("behaviour/")
            and not check.name.endswith("/coherence")
        ),
        default=float("inf"),
    )
