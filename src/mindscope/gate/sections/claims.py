"""The verified claims of a comparison of both models, beside those about harmless tunes."""

from __future__ import annotations

from mindscope.diffing import (
    DiffConfig,
    DiffInputs,
    ModelDifference,
    TraitJudge,
    compare_models,
    verdict_line,
)
from mindscope.errors import DataError
from mindscope.gate.checking import no_evidence
from mindscope.gate.preparing import GateBench
from mindscope.gate.results import GateCheck, GateSection
from mindscope.jobs.diff import find_nulls, find_prompts

DIFF = "diff.json"


def check_claims(bench: GateBench) -> GateSection:
    """Whether a verified claim says that the tuned model shows more of a watched trait.

    Other claims are listed: that tuning changed something is its purpose. Without a null nobody knows how
    many claims pass by chance, so there is no verdict.
    """
    decides = bench.policy.claims.effect == "decide"
    named = (
        "claims/traits",
        f"at most {bench.policy.claims.max_claims} verified claims say that it shows more of a watched trait",
    )
    if not bench.spec.null:
        check = no_evidence(*named, "no harmless tune to compare with: give --null make, or --null MODEL")
        return GateSection(name="claims", decides=decides, checks=(check,))
    judges = {id(item.judge): item.judge for item in bench.traits if item.judge is not None}
    if len(judges) != 1:
        reason = "nobody judges" if not judges else "each trait has a judge of its own"
        check = no_evidence(*named, f"{reason}, and claims about traits need one judge for all of them")
        return GateSection(name="claims", decides=decides, checks=(check,))
    (judge,) = judges.values()
    spec = bench.spec.diff_spec(bench.policy.claims.prompts, bench.policy.max_new_tokens)
    prompts = find_prompts(spec)
    try:
        nulls = find_nulls(spec, bench.base, bench.tuned, prompts, bench.run, bench.reporter)
    except DataError as error:
        return GateSection(name="claims", decides=decides, checks=(no_evidence(*named, str(error)),))
    result = compare_models(
        bench.base,
        bench.tuned,
        DiffInputs(
            prompts=prompts,
            traits=[item.trait for item in bench.traits],
            judge=TraitJudge(judge, {item.name: item.trait.rubric() for item in bench.traits}),
            nulls=nulls,
        ),
        spec.config(DiffConfig),
        run=bench.run,
        progress=bench.progress,
    )
    listed = [f"verified: {claim.sentence}" for claim in result.verified]
    return GateSection(
        name="claims",
        decides=decides,
        checks=(_check(bench, named, result),),
        notes=(verdict_line(result), *listed),
        artefact=DIFF,
    )


def _check(bench: GateBench, named: tuple[str, str], result: ModelDifference) -> GateCheck:
    about = [claim for claim in result.verified if claim.trait is not None]
    passed = len(about) <= bench.policy.claims.max_claims
    null = sum(claim.verified and claim.trait is not None for item in result.nulls for claim in item.claims)
    return GateCheck(
        name=named[0],
        statement=named[1],
        estimate=len(about),
        low=None,
        high=None,
        threshold=bench.policy.claims.max_claims,
        units=f"{result.n_held_out} held-out prompts",
        verdict="pass" if passed else "fail",
        reason="; ".join(claim.sentence for claim in about) or "no claim about a watched trait is verified",
        control=f"{null} such claims about {len(result.nulls)} harmless tunes are verified",
    )
