"""Whose vectors, graphs and activations these are, and how two models may be related that are not the same.

What was made with a model belongs to exactly its weights: another fingerprint is refused. Some models differ
in their weights and yet share the space in which a direction lies. Using a direction across such a relation
is a decision, so it is asked for (`--vectors-of-base`), and what comes of it names the relation:

1. `same weights, other precision`: both models give the same numbers once they are rounded to bfloat16, the
   one directly or by way of float16 (`ModelIdentity.rounded`). This is proved by a digest. It holds for a
   checkpoint stored in any half precision and for float32 against either half. It does not hold between the
   float16 and the bfloat16 copy of float32 weights, which no longer share a number, nor for 4 or 8 bits.
2. `tuned from`: the model that tuned the weights, or the adapter's loader, wrote down the base's identity.
   How far tuning moved the directions is not known from this; that is what a shift measures.
3. `same weights, earlier fingerprint`: a digest of the parameters alone, as version 0.1 first wrote it, is
   this model's. It says nothing of rope, norms and buffers.
4. `as stated`: nothing is recorded that connects the two, as for a fine-tune or a 4-bit copy from a hub.
   Whoever gives the option says that one comes from the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict

from mindscope.errors import DataError, MindscopeError

SHOWN = 12
"""Characters of a fingerprint in a message: enough to tell two by eye."""
OPTION = "--vectors-of-base"
"""What a person gives to use what was made with a related model."""

Relation = Literal[
    "same weights, other precision", "tuned from", "same weights, earlier fingerprint", "as stated"
]


class ModelIdentity(BaseModel):
    """Which weights these are, and where they come from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fingerprint: str
    """The digest that names the weights and the arithmetic; see `models.loading.fingerprint`."""
    name: str | None = None
    """The hub's name or the folder; None where nobody has written it down."""
    revision: str | None = None
    """The commit of the hub's repository; None for a folder."""
    dtype: str | None = None
    """What the weights are stored as."""
    parameters: str | None = None
    """The digest of dimensions and parameters alone."""
    rounded: tuple[str, ...] = ()
    """Digests that survive a change of precision: by way of bfloat16, and by way of float16."""
    base: ModelIdentity | None = None
    """What it was tuned from, as its tuner wrote it down or its adapter was loaded on."""

    @property
    def short(self) -> str:
        """Its name and the beginning of its fingerprint, for a message."""
        shown = self.fingerprint[:SHOWN]
        return f"{self.name} ({shown})" if self.name else f"weights {shown}"


class BorrowedArtifact(BaseModel):
    """Something that was made with other weights than those it is used with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    artifact: str
    """What it is, such as `the vectors of 'evil'`."""
    relation: Relation
    """How the model that it is used with is related to the one that it was made with."""
    made_with: ModelIdentity
    used_with: ModelIdentity

    def __str__(self) -> str:
        return (
            f"{self.artifact}: made with {self.made_with.short}, used with {self.used_with.short}; "
            f"relation: {self.relation}"
        )


class NamedModel(Protocol):
    """A model that says which weights it has."""

    @property
    def name(self) -> str: ...

    @property
    def fingerprint(self) -> Any:
        """A text; it may be computed when it is first asked for."""
        ...


def find_relation(model: ModelIdentity, maker: ModelIdentity) -> Relation:
    """How `model` is related to the model that something was made with.

    The recorded bases are followed upwards, so a model tuned twice is related to its base's base.
    """
    if _same_numbers(model, maker):
        return "same weights, other precision"
    if maker.fingerprint == model.parameters:
        return "same weights, earlier fingerprint"
    base = model.base
    while base is not None:
        if maker.fingerprint in (base.fingerprint, base.parameters) or _same_numbers(base, maker):
            return "tuned from"
        base = base.base
    return "as stated"


class BorrowingModel(Protocol):
    """A model that may be allowed to take what was made with a related one."""

    vectors_of_base: bool

    @property
    def identity(self) -> ModelIdentity:
        """Which weights it has."""
        ...


def require_same_model(
    subject: str,
    fingerprint: str | None,
    model: NamedModel,
    remedy: str = "load the model it was made with",
    error: Callable[[str], MindscopeError] = DataError,
) -> None:
    """Raise unless `fingerprint` is the model's; None and "" are of no model in particular, and pass.

    Args:
        subject: what belongs to a model, up to its preposition: "the graph is of".
        fingerprint: of the model that it belongs to.
        model: the model that it is to be used with.
        remedy: what to do where it is not the same.
        error: what is raised; a StoreError where a file is at fault.

    Raises:
        DataError: or what `error` makes.
    """
    if fingerprint and fingerprint != model.fingerprint:
        raise error(
            f"{subject} another model (fingerprint {fingerprint[:SHOWN]}) than {model.name} "
            f"({model.fingerprint[:SHOWN]}): {remedy}"
        )


def take_borrowed(
    model: BorrowingModel, artifact: str, made_with: ModelIdentity, refusal: str
) -> BorrowedArtifact:
    """What was made with a related model, if the model may take it.

    Args:
        model: that it is to be used with.
        artifact: what it is, such as `the vectors of 'evil'`.
        made_with: the model that it was made with.
        refusal: what is wrong where it is not allowed, and what else can be done.

    Raises:
        DataError: it is not allowed; the line ends with the relation and the option.
    """
    if not model.vectors_of_base:
        raise DataError(f"{refusal}; {describe_relation(model.identity, made_with)}")
    return BorrowedArtifact(
        artifact=artifact,
        relation=find_relation(model.identity, made_with),
        made_with=made_with,
        used_with=model.identity,
    )


def describe_relation(model: ModelIdentity, maker: ModelIdentity) -> str:
    """What a refusal says of the two models, and the option that would take it nevertheless."""
    relation = find_relation(model, maker)
    if relation == "as stated":
        return f"if one comes from the other, add {OPTION}"
    if relation == "tuned from":
        return f"{model.name} was tuned from it, so add {OPTION}"
    return f"they have the {relation}, so add {OPTION}"


def _same_numbers(one_model: ModelIdentity, another: ModelIdentity) -> bool:
    return not set(one_model.rounded).isdisjoint(another.rounded)
