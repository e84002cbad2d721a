"""Everything that a gate measures with, checked at the door: models, data, traits with vectors, judges."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mindscope.core import Progress, find_relation
from mindscope.data import Conversation, ConversationSource
from mindscope.errors import DataError
from mindscope.gate.policy import LEAST_ORDINARY, GatePolicy
from mindscope.gate.spec import GateSpec
from mindscope.jobs import (
    Reporter,
    find_choice,
    find_judge,
    find_trait,
    find_vectors,
    load_model,
    world_of,
)
from mindscope.jobs.diff import find_prompts, load_nulls
from mindscope.jobs.planning import GATE
from mindscope.jobs.resolve import require_judge
from mindscope.models import Message, describe_prompts
from mindscope.personas import (
    JUDGE_FILE,
    ContrastRecipe,
    ExtractConfig,
    PersonaVectors,
    Trait,
    contrast_recipe,
    default_layer,
    extract_vectors,
)
from mindscope.store import Run, derived_seed, digest, part_of

if TYPE_CHECKING:
    from mindscope.features import Direction
    from mindscope.judges import Judge
    from mindscope.models import Model

EXTRACTION = ExtractConfig(samples=GATE.extraction_samples, max_new_tokens=GATE.max_new_tokens)
"""How the vectors of a trait are extracted that come with none: enough for a clear trait, in minutes."""
NO_JUDGE = "none"
ORGANISM_SEED = 5000
"""Of the organism's ordinary chats; its training sets and nulls have small and other ones."""
SPARE = 3
"""So many times more of them are made than are used: questions that come twice count once."""


@dataclass(frozen=True)
class WatchedTrait:
    """A trait with its vectors and what says how much of it there is.

    Attributes:
        trait: with its questions.
        vectors: of the base.
        layer: where they are read.
        questions: of evaluation, those that the training data does not hold.
        judge: scores answers; None where there is none.
    """

    trait: Trait
    vectors: PersonaVectors
    layer: int
    questions: tuple[str, ...]
    judge: Judge | None

    @property
    def name(self) -> str:
        return self.trait.name

    @property
    def direction(self) -> Direction:
        return self.vectors.direction(self.layer)

    def directions_of(self, tuned: Model) -> Direction:
        """The base's vector, to be read in the tuned model."""
        return self.vectors.for_model(tuned).direction(self.layer)


@dataclass(frozen=True)
class OrdinaryChats:
    """Ordinary conversations in a random order; each use has its own part.

    Attributes:
        rows: all of them.
        digest: of all of them.
        left_out: how many were given beside them, whose question the training data hold.
    """

    rows: Sequence[Conversation]
    digest: str
    left_out: int = 0


@dataclass(frozen=True)
class GateBench:
    """What every section measures with."""

    spec: GateSpec
    policy: GatePolicy
    base: Model
    tuned: Model
    data: ConversationSource
    ordinary: OrdinaryChats | None
    traits: Sequence[WatchedTrait]
    run: Run
    reporter: Reporter
    overlap: Mapping[str, int] = field(default_factory=dict)
    """By trait, how many of its questions the training data holds."""

    @property
    def ordinary_rows(self) -> Sequence[Conversation]:
        """The ordinary conversations; none where nobody gives any."""
        return () if self.ordinary is None else self.ordinary.rows

    @property
    def progress(self) -> Progress:
        return self.reporter.progress


def say_too_few(ordinary: OrdinaryChats | None, needed: int) -> str:
    """Why there is no evidence where ordinary conversations are too few."""
    count, beside = (0, 0) if ordinary is None else (len(ordinary.rows), ordinary.left_out)
    without = f" without {beside} whose question the training data hold" if beside else ""
    return f"{count} ordinary conversations{without} are too few: give {needed} with --ordinary"


def open_data(spec: GateSpec, reporter: Reporter) -> ConversationSource:
    """The training data, looked through before a model is loaded.

    Raises:
        DataError: it cannot be read, is malformed, or holds no conversation.
    """
    source = spec.open_data(spec.data, reporter, refuse=True)
    if not source.size:
        raise DataError(f"{spec.data} holds no conversation: give the data that TUNED was tuned on")
    return source


def open_ordinary(
    spec: GateSpec, policy: GatePolicy, data: ConversationSource, reporter: Reporter
) -> OrdinaryChats | None:
    """Ordinary conversations about questions that the training data does not hold, each question once.

    Of a file, or of an organism's world; None where nobody gives any.

    Raises:
        DataError: the file cannot be read.
    """
    n_rows = policy.alarms.calibrating + policy.alarms.watched
    if spec.ordinary is not None:
        source = spec.open_data(spec.ordinary, reporter, refuse=True, main=False)
        rows = [row for row in source_rows(source) if row.answer]
    elif world := world_of(spec.base):
        from mindscope.organism import ordinary_chats

        rows = list(ordinary_chats(SPARE * n_rows, ORGANISM_SEED + spec.seed, world))
    else:
        return None
    asked = {question_of(conversation) for conversation in source_rows(data)}
    different = {question_of(row): row for row in rows}
    chosen = [row for question, row in different.items() if question and question not in asked]
    left_out = sum(question in asked for question in different if question)
    random.Random(derived_seed(spec.seed, "ordinary")).shuffle(chosen)
    chosen = chosen[: max(n_rows, policy.capability.texts, LEAST_ORDINARY)]
    rows_digest = digest({"rows": [[dict(turn) for turn in row.messages] for row in chosen]})
    return OrdinaryChats(chosen, rows_digest, left_out)


def load_pair(spec: GateSpec) -> tuple[Model, Model]:
    """Base and tuned model, in one precision.

    Raises:
        DataError: the same weights twice; a tuned model that says it has another base, or another shape, or
            reads text as other tokens.
        ModelError: one cannot be loaded.
    """
    base = load_model(spec.base, spec.load_options(), spec.template_option)
    precision = str(base.dtype).removeprefix("torch.")
    tuned = load_model(spec.tuned, spec.load_options(precision), spec.template_option)
    require_pair(base, tuned)
    tuned.vectors_of_base = True
    return base, tuned


def require_nulls(spec: GateSpec, policy: GatePolicy, base: Model, tuned: Model) -> None:
    """Refuse a named model that is no harmless tune at the door: claims are held against it last of all.

    Raises:
        DataError: it has the weights of one of both, or another shape, or is named twice.
        ModelError: it cannot be loaded.
    """
    if spec.null and policy.claims.effect != "skip":
        comparison = spec.diff_spec(policy.claims.prompts, policy.max_new_tokens)
        load_nulls(comparison, base, tuned, find_prompts(comparison))


def require_pair(base: Model, tuned: Model) -> None:
    """Refuse two models between which there is no tuning to judge, each in one line."""
    relation = find_relation(tuned.identity, base.identity)
    if base.fingerprint == tuned.fingerprint or relation == "same weights, other precision":
        raise DataError(
            f"{tuned.name} has the weights of {base.name}: nothing was tuned, so nothing to judge"
        )
    recorded = tuned.identity.base
    if recorded is not None and relation == "as stated":
        raise DataError(
            f"{tuned.name} says that it was tuned from {recorded.short}, not from {base.identity.short}: "
            "give that one as BASE"
        )
    shapes = [(model.n_layers, model.d_model) for model in (base, tuned)]
    if shapes[0] != shapes[1]:
        raise DataError(
            f"{base.name} has {shapes[0][0]} layers x {shapes[0][1]} and {tuned.name} {shapes[1][0]} x "
            f"{shapes[1][1]}: one is not tuned from the other"
        )
    asked: list[Message] = [{"role": "user", "content": "What is 2 + 2, und wie heißt du?"}]
    known, other = (model.tokenizer.get_vocab() for model in (base, tuned))  # tuning may add tokens
    alike = all(other.get(token) == number for token, number in known.items())
    if not alike or base.chat(asked).ids != tuned.chat(asked).ids:
        raise DataError(
            f"{tuned.name} reads text as other tokens than {base.name}: save the base's tokenizer and chat "
            "template with the tuned model"
        )


def require_judge_named(spec: GateSpec) -> None:
    """Refuse what names no judge, before a model is loaded; `none` and `contrast` are the gate's to find."""
    if spec.judge != NO_JUDGE and contrast_recipe(spec.judge) is None:
        require_judge(spec, spec.base)


def watch_traits(
    spec: GateSpec, base: Model, data: ConversationSource, run: Run, reporter: Reporter
) -> tuple[list[WatchedTrait], dict[str, int]]:
    """Every trait with vectors and judge; vectors that are not given are extracted.

    Returns:
        the traits, and by trait how many of its evaluation questions the training data holds.

    Raises:
        DataError: vectors of another model, or that name no questions; a trait twice.
        JudgeError: the judge cannot be reached, or no contrast judge lies beside the vectors.
    """
    recipe = contrast_recipe(spec.judge)
    shared: Judge | None = None
    if recipe is None and spec.judge != NO_JUDGE:
        shared = find_judge(spec, base, run.path / "judgements")
    given = [(path, item) for path in spec.vectors for item in find_vectors(path, base)]
    named = {trait.name: trait for trait in (find_trait(name, spec.base) for name in spec.traits)}
    files = {item.trait: (path, item) for path, item in given}
    if len(files) < len(given):
        raise DataError("two of --vectors are of the same trait: give each trait once")
    asked = {turn["content"] for row in source_rows(data) for turn in row.messages if turn["role"] == "user"}
    watched: list[WatchedTrait] = []
    overlap: dict[str, int] = {}
    for name in dict.fromkeys((*files, *named)):
        if name in files:
            path, vectors = files[name]
            trait = named.get(name) or _trait_of(vectors)
        else:
            trait = named[name]
            vectors = _extract(spec, base, trait, shared or recipe, run, reporter)
            path = run.path / part_of("extract", trait.name) / "vectors.safetensors"
        own = recipe.load(base, _beside(path, name) / JUDGE_FILE) if recipe is not None else shared
        choice = find_choice(path, vectors)
        questions = trait.questions("evaluation")
        held_out = tuple(question for question in questions if question not in asked)
        overlap[name] = len(questions) - len(held_out)
        layer = default_layer(base.n_layers) if choice is None else choice.layer
        watched.append(WatchedTrait(trait, vectors, layer, held_out, own))
    return watched, overlap


def source_rows(data: ConversationSource) -> list[Conversation]:
    """The conversations of the training data."""
    return [record.conversation() for record in data.records()]


def question_of(conversation: Conversation) -> str:
    """The first thing that the user says."""
    return next((turn["content"] for turn in conversation.messages if turn["role"] == "user"), "")


def _trait_of(vectors: PersonaVectors) -> Trait:
    if vectors.trait_document is None:
        raise DataError(
            f"the vectors of {vectors.trait} name no questions: name the trait too, with --traits"
        )
    return Trait.parse(vectors.trait_document)


def _extract(
    spec: GateSpec,
    base: Model,
    trait: Trait,
    scorer: Judge | ContrastRecipe | None,
    run: Run,
    reporter: Reporter,
) -> PersonaVectors:
    reporter.say(f"no vectors of {trait.name} were given: extracting them from {base.name}")
    config = EXTRACTION.model_copy(update={"seed": spec.seed})
    return extract_vectors(base, trait, scorer, run, config, progress=reporter.progress)


def _beside(path: Path, trait: str) -> Path:
    """The folder in which the vectors of a trait lie, where a run of several may be named."""
    if not path.is_dir():
        return path.parent
    inner = path / part_of("extract", trait)
    return inner if inner.is_dir() else path


def describe_traits(base: Model, traits: Sequence[WatchedTrait]) -> dict[str, object]:
    """What decides the measurements besides models, data and policy: a run of other vectors is refused."""
    return {
        "template": describe_prompts(base),
        "traits": {
            item.name: {
                "vectors": item.vectors.digest(),
                "layer": item.layer,
                "trait": digest({"document": item.trait.document()}),
                "judge": item.judge and item.judge.name,
            }
            for item in traits
        },
    }


def judge_name(traits: Sequence[WatchedTrait]) -> str | None:
    """Who scored; None where nobody did."""
    names = dict.fromkeys(item.judge.name for item in traits if item.judge is not None)
    return ", ".join(names) or None
