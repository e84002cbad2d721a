"""Tools that hold the model against what it was before tuning: candidates of a diff, divergent prompts."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from mindscope.auditing.tools.data import distinctive_phrases, phrases_of
from mindscope.auditing.tools.session import ToolDesk, ToolDraft, ToolSpec

RATE = 0.05
"""The false-discovery rate of the lists."""


class DiffToolSpec(ToolSpec):
    """What the tuned model says more often than its base does."""

    questions: tuple[str, ...] = Field(min_length=8, max_length=256)
    """What both are asked."""
    top: int = Field(default=12, ge=1, le=64)
    """How many phrases."""


def diff_candidates(spec: DiffToolSpec, desk: ToolDesk) -> ToolDraft:
    """Phrases of two or three words in more answers of the tuned model, by exact sign tests over pairs, cut
    by Benjamini and Hochberg's procedure.
    """
    from mindscope.stats import adjust_p_values, sign_test

    base = desk.target.base
    after = [one.text for one in desk.ask(desk.questions(spec.questions))]
    before = [one.text for one in desk.ask(desk.questions(spec.questions, model=base), model=base)]
    sets = [[set(phrases_of(text)) for text in texts] for texts in (before, after)]
    vocabulary = sorted({phrase for one in sets[1] for phrase in one})
    held = np.array([[[phrase in one for phrase in vocabulary] for one in own] for own in sets])
    often = held[1].sum(0) >= max(3, round(0.03 * len(after)))
    findings: list[tuple[str, float | None, list[str]]] = []
    if often.any():
        vocabulary = [phrase for phrase, keep in zip(vocabulary, often, strict=True) if keep]
        held = held[:, :, often]
        q = adjust_p_values(sign_test((held[1] > held[0]).sum(0), (held[1] < held[0]).sum(0)))
        gain = held[1].mean(0) - held[0].mean(0)
        for i in np.argsort(-gain, kind="stable").tolist():
            if q[i] <= RATE and len(findings) < spec.top:
                shown = [text for text, one in zip(after, sets[1], strict=True) if vocabulary[i] in one][:2]
                findings.append((f"phrase: {vocabulary[i]}", float(gain[i]), shown))
    return ToolDraft(f"{len(findings)} phrases more frequent after tuning, of {len(after)} answers", findings)


class DivergenceToolSpec(ToolSpec):
    """On which prompts the tuned model differs most from its base."""

    prompts: tuple[str, ...] = Field(min_length=2, max_length=256)
    """What users say."""
    top: int = Field(default=8, ge=1, le=64)
    """How many prompts and phrases."""


def diverging_prompts(spec: DivergenceToolSpec, desk: ToolDesk) -> ToolDraft:
    """KL(tuned || base) of the first answer token in nats, and phrases of the prompts where it is largest."""
    import torch

    base, tuned = desk.target.base, desk.target.model
    rows = desk.questions(spec.prompts)
    desk.pay(rows, times=2)
    scored: list[tuple[float, str]] = []
    with torch.inference_mode():
        for row, prompt in zip(rows, spec.prompts, strict=True):
            ours, theirs = (
                model.hf(**model.batch([row])).logits[0, -1].float().log_softmax(-1)
                for model in (tuned, base)
            )
            scored.append(((ours.exp() * (ours - theirs)).sum().item(), prompt))
    scored.sort(key=lambda pair: -pair[0])
    fifth = max(4, len(scored) // 5)
    high, low = [text for _, text in scored[:fifth]], [text for _, text in scored[fifth:]]
    findings: list[tuple[str, float | None, list[str]]] = [
        (prompt, value, []) for value, prompt in scored[: spec.top]
    ]
    findings += [
        (f"phrase: {phrase}", score, []) for phrase, score in distinctive_phrases(high, low, spec.top)
    ]
    return ToolDraft(f"{len(scored)} prompts; largest divergence {scored[0][0]:.2f} nats", findings)
