"""The page of a comparison: the claims with their tests first, then what each step of the ladder read."""

from collections.abc import Sequence

from mindscope.diffing.results import ModelDifference, VerifiedClaim
from mindscope.reports import AnswerCard, AnswerSample, Report, TokenHeat
from mindscope.stats import Estimate

CLAIM_COLUMNS = (
    "claim",
    "base",
    "tuned",
    "in",
    "held out",
    "beyond the null",
    "raised on base",
    "lowered on tuned",
    "",
)
SHOWN_SAMPLES = 5


def difference_report(result: ModelDifference, note: str = "") -> Report:
    """A page of its own.

    Args:
        result: the comparison.
        note: said at the top.
    """
    report = Report(f"What tuning changed: {result.tuned}", f"beside {result.base}")
    for line in (note, *result.notes):
        if line:
            report.note(line)
    report.facts(
        {
            "base": f"{result.base} ({result.base_fingerprint[:12]})",
            "tuned": f"{result.tuned} ({result.tuned_fingerprint[:12]})",
            "relation": result.relation,
            "prompts": f"{result.n_discovery} to find candidates, {result.n_held_out} others to test them",
            "seed": result.config.seed,
        }
    )
    if result.outputs is None:
        return report
    _claims(report, result)
    _readings(report, result)
    _slices(report, result)
    if result.skipped:
        report.section("Steps that were not taken")
        report.table(["step", "why"], [[one.rung, one.reason] for one in result.skipped])
    return report


def verdict_line(result: ModelDifference) -> str:
    """How many claims are verified, and what the null says of that, in a sentence."""
    if result.outputs is None:
        return "; ".join(result.notes)
    counted = f"{len(result.verified)} of {len(result.claims)} claims passed every test"
    if result.null_rate is None:
        return f"{counted}; without a null nobody knows how many of them are chance (--null make)"
    rate = result.null_rate
    expected = f"{rate.hits} of {rate.n} claims about harmless tunes pass"
    share = result.false_discovery_rate
    rest = "" if share is None else f", so {share:.0%} of those verified are expected to be false"
    return f"{counted}; {expected}{rest}"


def claim_rows(claims: Sequence[VerifiedClaim]) -> list[list[object]]:
    """A row a claim, with the effect of each test and a mark where it failed."""
    rows: list[list[object]] = []
    for claim in claims:
        effects = dict.fromkeys(CLAIM_COLUMNS[4:8], "–")
        for check in claim.checks:
            mark = "" if check.passed else " ✗"
            shown = _shown(check.effect) + mark
            known = effects[check.name]
            effects[check.name] = shown if known == "–" else f"{known}; {shown}"
        verdict = "verified" if claim.verified else "not verified"
        values = _number(claim.base), _number(claim.tuned)
        rows.append([claim.sentence, *values, claim.units, *effects.values(), verdict])
    return rows


def _shown(effect: Estimate | None) -> str:
    if effect is None:
        return "not made"
    mean, low, high = map(_number, (effect.mean, effect.low, effect.high))
    return f"{mean} ({low} to {high})"


def _number(value: float) -> str:
    """Two significant digits, whatever the units: claims of one table have different ones."""
    shown = f"{value:.0f}" if abs(value) >= 10 else f"{value:.2g}"
    return shown.replace("-", "\N{MINUS SIGN}")


def _claims(report: Report, result: ModelDifference) -> None:
    config = result.config
    report.section(
        "Claims",
        "Each sentence was made from one half of the prompts and measured on the other. It is verified if "
        f"the tuned model shows more of it than its base at a false-discovery rate of "
        f"{config.false_discovery_rate:.0%} over all claims, and more than every harmless tune; if the base, "
        "pushed along its direction, shows more of it than under a random push of the same length; and if "
        "the tuned model, with the difference taken back, shows less of it than with a random vector "
        "taken away. Intervals are 95 % over the prompts.",
    )
    report.text(verdict_line(result))
    ordered = sorted(result.claims, key=lambda claim: not claim.verified)
    if ordered:
        report.table(CLAIM_COLUMNS, claim_rows(ordered), "✗ marks a test that a claim did not pass.")
    else:
        report.text("Nothing differs enough to make a claim of.")
    report.section(
        "The answers alone",
        "What a reader of both models' answers would say, without a look inside: the same tests on the same "
        "prompts, but nothing to push along.",
    )
    if result.baseline:
        report.table(CLAIM_COLUMNS, claim_rows(result.baseline))
    else:
        report.text("No word is more frequent in the answers of either model.")
    outputs = result.outputs
    assert outputs is not None
    report.table(
        ["style", "base", "tuned", "difference", "q"],
        [[one.name, one.base, one.tuned, _shown(one.difference), one.q] for one in outputs.style],
    )
    for null in result.nulls:
        made = "made here by the tuned model's recipe on ordinary data" if null.made else "given"
        report.section(
            f"The null: {null.model}",
            f"The same ladder on a harmless tune, {made}. It moved {_shown(null.kl)} nats a token from "
            "the base.",
        )
        rows = claim_rows((*null.claims, *null.baseline))
        if rows:
            report.table(CLAIM_COLUMNS, rows)
        else:
            report.text("It differs so little that no claim came of it.")


def _readings(report: Report, result: ModelDifference) -> None:
    if result.distributions is not None:
        read = result.distributions
        report.section(
            "Next-token distributions",
            "How differently the models continue the same answers, in nats a token.",
        )
        report.table(
            ["measure", "mean and interval"],
            [
                ["KL(tuned, base) along the tuned model's answers", _shown(read.kl)],
                ["KL(base, tuned) along the base's answers", _shown(read.kl_of_base)],
                ["Jensen-Shannon along both", _shown(read.js)],
            ],
        )
        changes = [*read.raised[:10], *read.lowered[:10]]
        report.table(
            ["token", "base", "tuned"],
            [[repr(one.token), one.base, one.tuned] for one in changes],
            "Tokens whose mean probability along the tuned model's answers rose and fell most.",
        )
        report.heats(
            [
                TokenHeat(one.prompt, one.tokens, "tuned", f"{one.js:.2f} nats a token")
                for one in read.largest
            ],
            "Prompts on which the models part most; tokens are shaded by how differently they are predicted.",
        )
    if result.lens is not None and result.lens.places:
        report.section(
            "Activation difference lens",
            f"Mean differences of activations at {result.lens.address}, read through the unembedding and by "
            "a prompt that repeats what it is given. The first tokens of unrelated texts show what tuning "
            "left there. An agreement near 0 between halves of the texts means that there is only noise.",
        )
        report.table(
            ["place", "texts", "norm", "share of the norm", "agreement", "logit lens", "patchscope"],
            [
                [
                    place.place, place.n, place.norm, place.share, place.agreement,
                    " ".join(place.logit_lens[:10]), " ".join(place.patchscope[:10]),
                ]
                for place in result.lens.places
            ],
        )  # fmt: skip
    if result.traits:
        report.section(
            "Along persona vectors",
            f"How far the last prompt token moved along each vector at layer {result.traits[0].layer}.",
        )
        report.table(
            ["trait", "base", "tuned", "shift", "cosine"],
            [[one.trait, one.base, one.tuned, _shown(one.shift), one.cosine] for one in result.traits],
        )
    for reading in result.latents:
        report.section(
            f"Latents of {reading.dictionary}",
            f"{reading.n_changed} of {reading.n_latents} latents are active on more or fewer tokens of the "
            "same answers.",
        )
        rows = [
            [one.latent, 100 * one.base, 100 * one.tuned, one.q, " ".join(one.promotes[:8])]
            for one in reading.changed
        ]
        if rows:
            report.table(["latent", "base, % of tokens", "tuned, %", "q", "promotes"], rows)


def _slices(report: Report, result: ModelDifference) -> None:
    by_name = {claim.name: claim for claim in result.claims}
    for part in result.slices:
        claim = by_name[part.claim]
        if not claim.verified:  # those of claims that failed are in the JSON
            continue
        report.section(
            f"Training samples behind: {claim.name}",
            f"{claim.sentence}. Samples whose answers lie furthest along its direction; words that the claim "
            f"is about are {part.top_matches:.1f} of 100 in the tenth that lies furthest, "
            f"{part.all_matches:.1f} in the whole file.",
        )
        report.samples(
            [
                AnswerSample(
                    sample.prompt,
                    [
                        AnswerCard(
                            f"line {sample.line}", sample.answer, note=f"{sample.score:+.1f} deviations"
                        )
                    ],
                )
                for sample in part.samples[:SHOWN_SAMPLES]
            ]
        )
