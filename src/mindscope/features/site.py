"""Where features are read and written: an address of one of the models that they belong to."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from mindscope.core import ModelIdentity
from mindscope.engines import Engine
from mindscope.errors import DataError
from mindscope.models import Model

FIRST = "0"
"""The name of the only model, or of the first of several that were given without names."""

Models = Model | Sequence[Model] | Mapping[str, Model]
"""One model, several in the order of their names, or several by name."""
Engines = Engine | Sequence[Engine] | Mapping[str, Engine]
"""The same of engines, for what only reads and generates."""
Loaded = TypeVar("Loaded", bound=Engine)


@dataclass(frozen=True, slots=True)
class Site:
    """`width` numbers a token at an address of one model.

    Attributes:
        address: such as `resid_post.12`.
        width: how many numbers are read or written there.
        model: the model's name among those that a dictionary or a feature set belongs to. Whose weights it
            stands for is written down there once, as a fingerprint: see `Dictionary.models`.
    """

    address: str
    width: int
    model: str = FIRST

    @property
    def name(self) -> str:
        """As configurations and reports call it: the address, for other models than the first `1:address`."""
        return self.address if self.model == FIRST else f"{self.model}:{self.address}"


def split_site_name(name: str, first: str = FIRST) -> tuple[str, str]:
    """The model and the address that a name such as `resid_post.4` or `1:resid_post.4` means.

    Args:
        name: of a site.
        first: the model of a name that does not say one.
    """
    model, separator, address = name.partition(":")
    return (model, address) if separator else (first, name)


def name_models(models: Loaded | Sequence[Loaded] | Mapping[str, Loaded]) -> dict[str, Loaded]:
    """Models by name: their own, or `0`, `1`, … in the order given."""
    if isinstance(models, Mapping):
        return dict(models)
    given = models if isinstance(models, Sequence) else [models]
    return {str(number): model for number, model in enumerate(given)}


def match_models(
    expected: Mapping[str, str | None],
    models: Loaded | Sequence[Loaded] | Mapping[str, Loaded],
    subject: str,
    made_with: Mapping[str, ModelIdentity] | None = None,
) -> dict[str, Loaded]:
    """The models that features belong to, by name.

    Models given by name are taken by name. Of others, each goes to the name with its fingerprint, and what
    is left over to the names whose fingerprint is not known, in order.

    Args:
        expected: name to fingerprint; None where nobody has written down whose it is.
        models: what the caller has.
        subject: what belongs to the models, for the error: "this dictionary was trained on".
        made_with: the identities of the models by name, where they are known; they say how another model is
            related to the one that is expected.

    Raises:
        DataError: a model is missing, or is another one than the features belong to and does not take what
            was made with its base (`Model.vectors_of_base`).
    """
    given = name_models(models)
    if not isinstance(models, Mapping):
        given = _name_by_fingerprint(expected, list(given.values()))
    missing = [name for name in expected if name not in given]
    if missing:
        raise DataError(
            f"{subject} {len(expected)} models ({', '.join(expected)}), and {', '.join(missing)} is missing: "
            "give every one of them, as {name: model}"
        )
    for name, fingerprint in expected.items():
        model = given[name]
        if fingerprint is not None and fingerprint != model.fingerprint:
            maker = (made_with or {}).get(name) or ModelIdentity(fingerprint=fingerprint)
            refusal = (
                f"{subject} another model {maker.short} than {model.identity.short}: load the model it "
                "belongs to, or fit it again on this one"
            )
            model.borrow(subject.partition(" was ")[0].removesuffix(" belong to"), maker, refusal)
    return {name: given[name] for name in expected}


def require_same_tokenizer(models: Mapping[str, Engine]) -> None:
    """Raises DataError unless the models split texts into the same tokens and so can read the same rows."""
    (first, *others) = models.values()
    if others and any(model.tokenizer.get_vocab() != first.tokenizer.get_vocab() for model in others):
        raise DataError(
            "the models have unlike tokenizers: models that read the same rows must be of one family"
        )


def join_fingerprints(fingerprints: Iterable[str]) -> str:
    """The fingerprint of one model; of several, all of theirs as one text."""
    return "+".join(dict.fromkeys(fingerprints))


def _name_by_fingerprint(expected: Mapping[str, str | None], models: list[Loaded]) -> dict[str, Loaded]:
    named: dict[str, Loaded] = {}
    for name, fingerprint in expected.items():
        known = [model for model in models if model.fingerprint == fingerprint]
        if known:
            named[name] = known[0]
    rest = [model for model in models if all(model is not taken for taken in named.values())]
    for name in expected:
        if name not in named and rest:
            named[name] = rest.pop(0)  # a model of another fingerprint is refused by the caller
    return named
