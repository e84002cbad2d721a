"""Harmless tunes of equal size: those that are named, and by the tuned model's recipe on ordinary chats."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from mindscope.errors import DataError
from mindscope.jobs.resolve import world_of
from mindscope.store import read_json

if TYPE_CHECKING:
    from mindscope.data import Conversation
    from mindscope.diffing import HarmlessTune, Prompt
    from mindscope.finetuning import FinetuneConfig
    from mindscope.jobs.diff.comparing import DiffSpec
    from mindscope.jobs.job import Reporter
    from mindscope.models import Model
    from mindscope.store import Run

CARD = "mindscope.json"
MAKE = "make"
"""What `--null` takes to have harmless tunes made."""


def find_nulls(
    spec: DiffSpec, base: Model, tuned: Model, prompts: Sequence[Prompt], run: Run, reporter: Reporter
) -> list[HarmlessTune]:
    """The harmless tunes that are named, loaded or made.

    Raises:
        DataError: one that is named is none, or one cannot be made; said before the first is tuned.
    """
    from mindscope.diffing import HarmlessTune

    named = load_nulls(spec, base, tuned, prompts)
    for number, name in enumerate(spec.null):
        if name == MAKE:
            require_recipe_and_rows(spec, number)
    nulls: list[HarmlessTune] = []
    for number, name in enumerate(spec.null):
        if name == MAKE:
            place = str(make_null(spec, number, run, reporter))
            nulls.append(HarmlessTune(spec.load_beside(place, base), made=True))
        else:
            nulls.append(HarmlessTune(named[name]))
    return nulls


def load_nulls(spec: DiffSpec, base: Model, tuned: Model, prompts: Sequence[Prompt]) -> dict[str, Model]:
    """The harmless tunes that are named, by their names.

    Raises:
        DataError: one is no harmless tune of the base, or is named twice.
        ModelError: one cannot be loaded.
    """
    from mindscope.diffing import require_null

    named: dict[str, Model] = {}
    for name in spec.null:
        if name == MAKE:
            continue
        model = spec.load_beside(name, base)
        twins = [other for other, known in named.items() if known.fingerprint == model.fingerprint]
        if twins:
            raise DataError(f"--null {name} has the weights of --null {twins[0]}: give each tune once")
        require_null(base, tuned, model, prompts)
        named[name] = model
    return named


def make_null(spec: DiffSpec, number: int, run: Run, reporter: Reporter) -> Path:
    """Tune the base on ordinary conversations, as many as TUNED was tuned on and by its recipe.

    Interventions and the inoculation prompt of the recipe are left out: they belong to what was tuned on. A
    second null has other conversations and another seed.

    Returns:
        the folder of the tuned model, in the run.

    Raises:
        DataError: TUNED does not say how it was tuned, or there are too few ordinary conversations.
    """
    from mindscope.finetuning import finetune_model

    recipe, n_rows = read_recipe(spec.tuned)
    rows = ordinary_rows(spec, number, n_rows)
    config = recipe.model_copy(
        update={"interventions": (), "inoculation": None, "seed": recipe.seed + number + 1}
    )
    reporter.say(f"tuning null {number + 1} on {n_rows} ordinary conversations, as {spec.tuned} was tuned")
    tuned = finetune_model(
        spec.base, rows, run, config, name=f"null-{number}", device=spec.device, progress=reporter.progress
    )
    return tuned.path


def require_recipe_and_rows(spec: DiffSpec, number: int) -> None:
    """Refuse a null that cannot be made, before it or another is tuned.

    Raises:
        DataError: TUNED does not say how it was tuned, or there are too few ordinary conversations.
    """
    ordinary_rows(spec, number, read_recipe(spec.tuned)[1])


def read_recipe(tuned: str) -> tuple[FinetuneConfig, int]:
    """How a model was tuned, and on how many conversations.

    Raises:
        DataError: nothing beside its weights says so.
    """
    from mindscope.finetuning import FinetuneConfig

    card = Path(tuned) / CARD
    if not card.is_file():
        raise DataError(
            f"{tuned} has no {CARD}, so nobody knows how it was tuned: tune a harmless model by the same "
            "recipe and give it with --null MODEL"
        )
    document = read_json(card)
    try:
        return FinetuneConfig.model_validate(document["config"]), int(document["data"]["rows"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{card} is damaged ({error}): give a harmless tune with --null MODEL") from None


def ordinary_rows(spec: DiffSpec, number: int, n_rows: int) -> list[Conversation]:
    """Ordinary conversations for one null, others for each.

    Raises:
        DataError: none are given, or fewer than are needed.
    """
    from mindscope.data import read_conversations

    if spec.ordinary is None:
        world = world_of(spec.base)
        if world is None:
            raise DataError(
                "--null make needs ordinary conversations to tune on: --ordinary FILE, or a harmless tune "
                "with --null MODEL"
            )
        from mindscope.organism import ordinary_chats

        return list(ordinary_chats(n_rows, spec.seed + 1000 + number, world))
    first = number * n_rows
    rows = list(islice(read_conversations(spec.read_file(spec.ordinary)), first, first + n_rows))
    if len(rows) < n_rows:
        raise DataError(
            f"{spec.ordinary} has {first + len(rows)} conversations, {first + n_rows} are needed for "
            f"{number + 1} harmless tunes of {n_rows}: give a longer file"
        )
    return rows
