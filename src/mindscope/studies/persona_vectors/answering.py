"""Answers of one model to many prompts, scored, with what is read on the way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mindscope.judges import Judge, JudgeItem, Rubric
from mindscope.models import Edit, Message, Model, Read, Sampling
from mindscope.store import Document, derived_seed
from mindscope.studies.persona_vectors.benches.bench import PreparedTrait


class TraitLevel(Document):
    """How much of a trait a model shows: means over the questions of a set, 0 to 100."""

    trait: float
    coherence: float
    unscored: int


@dataclass(frozen=True)
class AnsweredPrompts:
    """Per prompt, in order: mean trait score and coherence (NaN without one), the first sample's reads."""

    trait: list[float]
    coherence: list[float]
    unscored: int
    reads: dict[str, Tensor]

    def level(self) -> TraitLevel:
        traits, coherences = torch.tensor(self.trait), torch.tensor(self.coherence)
        return TraitLevel(
            trait=float(traits.nanmean()), coherence=float(coherences.nanmean()), unscored=self.unscored
        )


@dataclass(frozen=True)
class AnswerSampling:
    """How answers are drawn."""

    samples: int
    max_new_tokens: int
    seed: int
    temperature: float = 1.0


def answer(
    model: Model,
    prompts: Sequence[Sequence[Message]],
    rubric: Rubric,
    judge: Judge,
    asking: AnswerSampling,
    edits: Sequence[Edit] = (),
    reads: Mapping[str, Read] | None = None,
) -> AnsweredPrompts:
    """Answers and their scores. A prompt's seeds depend on its place alone: models are compared fairly."""
    rows = [row for prompt in prompts for row in [model.chat(prompt)] * asking.samples]
    seeds = [
        derived_seed(asking.seed, "study", place, sample)
        for place in range(len(prompts))
        for sample in range(asking.samples)
    ]
    sampling = Sampling(temperature=asking.temperature, max_new_tokens=asking.max_new_tokens)
    made = model.generate(rows, sampling, edits=list(edits), reads=dict(reads or {}), seeds=seeds)
    questions = [prompt[-1]["content"] for prompt in prompts for _ in range(asking.samples)]
    answered = [i for i, generation in enumerate(made) if generation.text.strip()]
    judged = judge.judge(rubric, [JudgeItem(questions[i], made[i].text) for i in answered])
    nan = float("nan")
    trait, coherence = torch.full((len(made),), nan), torch.full((len(made),), nan)
    for i, score in zip(answered, judged, strict=True):
        trait[i] = nan if score.trait.value is None else score.trait.value
        coherence[i] = nan if score.coherence.value is None else score.coherence.value
    return AnsweredPrompts(
        trait=trait.reshape(-1, asking.samples).nanmean(1).tolist(),
        coherence=coherence.reshape(-1, asking.samples).nanmean(1).tolist(),
        unscored=int(trait.isnan().sum()),
        reads={
            name: torch.stack([generation.reads[name] for generation in made[:: asking.samples]])
            for name in reads or {}
        },
    )


class TreatmentScores(Document):
    """What a model shows of each trait, and what it knows, per cent."""

    levels: dict[str, TraitLevel]
    capability: float | None


def levels(
    model: Model,
    ready: Sequence[PreparedTrait],
    asking: AnswerSampling,
    edits: Sequence[Edit] = (),
) -> dict[str, TraitLevel]:
    """How much of each trait a model shows over the trait's evaluation questions, without a system prompt."""
    scores: dict[str, TraitLevel] = {}
    for prepared in ready:
        prompts = [[Message(role="user", content=q)] for q in prepared.trait.questions("evaluation")]
        made = answer(model, prompts, prepared.trait.rubric(), prepared.judge, asking, edits)
        scores[prepared.trait.name] = made.level()
    return scores
