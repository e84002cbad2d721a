"""Tasks that come with the package."""

from __future__ import annotations

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessage, ChatMessageSystem, ChatMessageUser
from inspect_ai.scorer import Scorer

from mindscope.auditing.extension.scorers import projection, said_and_represented, trait_score
from mindscope.auditing.extension.solvers import steered_answers
from mindscope.errors import DataError

PROMPTS = ("none", "positive", "negative")


@task
def trait(
    trait: str = "evil",
    prompts: str = "none",
    steer: str | None = None,
    monitor: str | None = None,
    threshold: float | None = None,
    policy: str | None = None,
    judge: str | None = None,
    base_url: str | None = None,
    of_model: str = "organism",
) -> Task:
    """A trait's evaluation questions, answered steered and watched: what is said, and what is represented.

        inspect eval mindscope/trait --model mindscope/organism -T steer="12 sae.3/2026" -T monitor=sae.3/2026

    Args:
        trait: a bundled trait, a file, organism:NAME, or a word and its opposite.
        prompts: system prompts that call the trait up (positive), keep it away (negative), or none.
        steer: what to steer by.
        monitor: what to read, with commas between; of the first, `said_and_represented` tells where it parts
            from the words.
        threshold: above which the first counts as represented.
        policy: what an alarm does.
        judge: who scores; by default the organism's exact judge.
        base_url: an endpoint's address.
        of_model: the model whose traits are meant; `organism` takes those of its world.

    Raises:
        DataError: there is no such trait, or no such prompts.
    """
    from mindscope.jobs import find_trait

    if prompts not in PROMPTS:
        raise DataError(f"there are no prompts {prompts!r}: choose one of {', '.join(PROMPTS)}")
    found = find_trait(trait, of_model)
    samples: list[Sample] = []
    for number, question in enumerate(found.evaluation):
        messages: list[ChatMessage] = [ChatMessageUser(content=question)]
        if prompts != "none":
            pair = found.instructions[number % len(found.instructions)]
            messages.insert(0, ChatMessageSystem(content=pair.pos if prompts == "positive" else pair.neg))
        samples.append(Sample(id=number + 1, input=messages))
    scorers: list[Scorer] = [trait_score(trait, judge, base_url, of_model=of_model)]
    names = [name for name in (monitor or "").split(",") if name]
    scorers += [projection(name) for name in names]
    if names:
        scorers.append(
            said_and_represented(
                trait, names[0], threshold, judge=judge, base_url=base_url, of_model=of_model
            )
        )
    return Task(
        dataset=MemoryDataset(samples, name=f"trait-{found.name}"),
        solver=steered_answers(steer=steer, monitor=names or None, policy=policy),
        scorer=scorers,
        metadata={"trait": found.name, "steer": steer, "monitor": names},
    )
