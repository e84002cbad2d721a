"""The test of a dictionary: what its latents do on a few prompts, so that it can be told on another machine
whether this is the dictionary, and this the model.

1. Three questions are rendered as the model's chat, or read as plain text where it has no template. Their
   tokens are kept, so that nothing depends on a tokenizer later.
2. Of each prompt the strongest activations are kept, with their token and latent.
3. Of each site that is written, the share of the variance that the reconstruction does not explain is kept:
   sum ||y - y_hat||^2 / sum ||y - mean y||^2.
4. To test, the same is measured again. Activations may differ by rounding alone, as the root mean square of
   the difference over that of the kept ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from mindscope.errors import DataError
from mindscope.store import Document, SavedDocument

if TYPE_CHECKING:
    from torch import Tensor

    from mindscope.dictionaries import Dictionary
    from mindscope.models import Model, Row

KEPT = 20
"""Activations of a prompt: the strongest, which rounding does not turn off."""


class KeptActivation(Document):
    """One latent on one token of a prompt."""

    prompt: int = Field(ge=0)
    token: int = Field(ge=0)
    latent: int = Field(ge=0)
    value: float = Field(allow_inf_nan=False)


class DictionaryTest(SavedDocument):
    """What a dictionary does to its test's prompts.

    Attributes:
        digest: of the dictionary.
        prompts: their tokens.
        activations: the strongest of each prompt.
        unexplained: by site, the share of the variance that the reconstruction leaves.
    """

    SCHEMA: ClassVar[str] = "mindscope.dictionary_test/1"

    digest: str
    prompts: tuple[tuple[int, ...], ...] = Field(min_length=1)
    activations: tuple[KeptActivation, ...]
    unexplained: dict[str, float]


class DictionaryDeviation(Document):
    """How far a dictionary is from what its test says, as shares."""

    activations: float
    unexplained: float


def record_test(dictionary: Dictionary, model: Model) -> DictionaryTest:
    """Measure what a dictionary does behind the test's prompts.

    Raises:
        DataError: a dictionary of several models, or of another one; or it is silent on all prompts.
    """
    from mindscope.features import PROBE_QUESTIONS

    if len(dictionary.models) != 1:
        raise DataError("a dictionary of several models has no test on one of them: pack it without --model")
    has_template = bool(model.template_source)
    rows = [
        model.chat([{"role": "user", "content": question}]) if has_template else model.text(question)
        for question in PROBE_QUESTIONS
    ]
    codes, unexplained = _measure(dictionary, model, rows)
    kept = []
    for number, code in enumerate(codes):
        token, latent = code.nonzero(as_tuple=True)
        values = code[token, latent]
        kept.extend(
            KeptActivation(
                prompt=number,
                token=int(token[place]),
                latent=int(latent[place]),
                value=float(values[place]),
            )
            for place in values.argsort(descending=True, stable=True)[:KEPT].tolist()
        )
    if not kept:
        raise DataError(
            "no latent is active on any of the test's prompts: there is nothing to hold it against"
        )
    return DictionaryTest(
        digest=dictionary.digest(),
        prompts=tuple(row.ids for row in rows),
        activations=tuple(kept),
        unexplained=unexplained,
    )


def measure_deviation(dictionary: Dictionary, model: Model, test: DictionaryTest) -> DictionaryDeviation:
    """Measure the test again.

    Raises:
        DataError: the test names tokens or latents that there are not, or the dictionary is another model's.
    """
    from mindscope.models import Row

    if any(not ids or not 0 <= min(ids) <= max(ids) < model.vocab_size for ids in test.prompts):
        raise DataError(f"the test holds tokens that {model.name} does not have: it is another tokenizer's")
    if any(
        kept.prompt >= len(test.prompts)
        or kept.token >= len(test.prompts[kept.prompt])
        or kept.latent >= dictionary.n_latents
        for kept in test.activations
    ):
        raise DataError("the test names latents or tokens that there are not: it is another dictionary's")
    codes, unexplained = _measure(dictionary, model, [Row(ids, len(ids)) for ids in test.prompts])
    if {*unexplained} != {*test.unexplained}:
        raise DataError("the test is of other sites than the dictionary writes: it is another dictionary's")
    squares = sum(kept.value**2 for kept in test.activations) or 1.0
    errors = sum(
        (float(codes[kept.prompt][kept.token, kept.latent]) - kept.value) ** 2 for kept in test.activations
    )
    return DictionaryDeviation(
        activations=(errors / squares) ** 0.5,
        unexplained=max(abs(unexplained[name] - share) for name, share in test.unexplained.items()),
    )


def _measure(dictionary: Dictionary, model: Model, rows: list[Row]) -> tuple[list[Tensor], dict[str, float]]:
    """The activations `[tokens, latents]` of each row, and what the reconstruction of all leaves."""
    import torch

    from mindscope.features import read_activations

    bound = dictionary.bind(model)
    with torch.inference_mode():
        x = read_activations(bound.reads, bound.models, model, rows).float().to(bound.b_dec.device)
        y = read_activations(bound.writes, bound.models, model, rows).float().to(bound.b_dec.device)
        code = bound.encode(x)
        left = (y - bound.reconstruct(x, code)).split([site.width for site in bound.writes], dim=1)
        whole = (y - y.mean(0)).split([site.width for site in bound.writes], dim=1)
        dense = code.dense().cpu().split([len(row) for row in rows])
    unexplained = {
        site.name: float(part.double().square().sum() / all_.double().square().sum().clamp(min=1e-30))
        for site, part, all_ in zip(bound.writes, left, whole, strict=True)
    }
    return list(dense), unexplained
