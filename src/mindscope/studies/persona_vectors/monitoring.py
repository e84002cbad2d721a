"""Claim 1: the projection of the last prompt token tells how much of a trait the answer will show.

Over graded system prompts, and over shots that show the trait (Chen et al. 2025, arXiv 2507.21509,
section 3.3). Within one prompt or number of shots the projection varies less, and so does what it tells.
"""

from collections.abc import Sequence
from typing import Literal

from mindscope.errors import DataError
from mindscope.models import Last, Message, Model, Read
from mindscope.personas import Trait
from mindscope.store import Document
from mindscope.studies.persona_vectors.answering import AnswerSampling, answer
from mindscope.studies.persona_vectors.benches.bench import PreparedTrait, StudyBench
from mindscope.studies.persona_vectors.correlations import ClaimCorrelation, correlate

Way = Literal["system prompts", "shots"]
ROOM = 64
"""Tokens kept free for an answer."""


class MonitoredGroup(Document):
    """One system prompt, or one number of shots: a value per question."""

    label: str
    projections: tuple[float, ...]
    scores: tuple[float | None, ...]


class MonitoredTrait(Document):
    """One trait and one way of bringing it about."""

    trait: str
    layer: int
    way: Way
    groups: tuple[MonitoredGroup, ...]
    left_out: tuple[str, ...]
    """Prompts or numbers of shots that are too long for the model."""
    overall: ClaimCorrelation
    """Questions are drawn again, each with its points in all groups."""
    within: float | None
    """Mean over the groups of r within a group; groups whose scores do not vary have none."""


def monitor_claim(
    bench: StudyBench,
    model: Model,
    ready: PreparedTrait,
    way: Way,
    asking: AnswerSampling,
    shots: Sequence[int],
) -> MonitoredTrait:
    """Ask the evaluation questions under every prompt, and read where each answer is about to begin."""
    trait = ready.trait
    questions = trait.questions("evaluation")
    openings = _prompts(bench, trait) if way == "system prompts" else _shots(bench, trait, shots)
    read = Read(ready.direction.address, Last("prompt"))
    groups: list[MonitoredGroup] = []
    left_out: list[str] = []
    for label, opening in openings:
        prompts = [[*opening, Message(role="user", content=question)] for question in questions]
        if not _fits(model, prompts):
            left_out.append(label)
            continue
        made = answer(model, prompts, trait.rubric(), ready.judge, asking, reads={"last": read})
        groups.append(
            MonitoredGroup(
                label=label,
                projections=tuple(ready.direction.project(made.reads["last"]).tolist()),
                scores=tuple(None if score != score else score for score in made.trait),
            )
        )
    if not groups:
        raise DataError(f"no prompt over {way} for {trait.name} fits into the context of {model.name}")
    return summarised(trait.name, ready.layer, way, groups, left_out)


def _fits(model: Model, prompts: Sequence[Sequence[Message]]) -> bool:
    """Whether the model has room for every prompt and a short answer."""
    most = model.context_length
    return most is None or max(len(model.chat(prompt)) for prompt in prompts) + ROOM <= most


def summarised(
    trait: str, layer: int, way: Way, groups: Sequence[MonitoredGroup], left_out: Sequence[str] = ()
) -> MonitoredTrait:
    """The correlations of the groups' points."""
    points = [
        (projection, score, question)
        for group in groups
        for question, (projection, score) in enumerate(zip(group.projections, group.scores, strict=True))
        if score is not None
    ]
    within = [_within(group) for group in groups]
    known = [r for r in within if r is not None]
    return MonitoredTrait(
        trait=trait,
        layer=layer,
        way=way,
        groups=tuple(groups),
        left_out=tuple(left_out),
        overall=correlate(*([p[i] for p in points] for i in (0, 1)), units=[p[2] for p in points]),
        within=sum(known) / len(known) if known else None,
    )


def _within(group: MonitoredGroup) -> float | None:
    pairs = [(p, s) for p, s in zip(group.projections, group.scores, strict=True) if s is not None]
    return correlate([p for p, _ in pairs], [s for _, s in pairs]).r


def _prompts(bench: StudyBench, trait: Trait) -> list[tuple[str, list[Message]]]:
    return [(text, [Message(role="system", content=text)]) for text in bench.graded_prompts(trait)]


def _shots(bench: StudyBench, trait: Trait, counts: Sequence[int]) -> list[tuple[str, list[Message]]]:
    return [(f"{count} shots", list(bench.shots(trait, count))) for count in counts]
