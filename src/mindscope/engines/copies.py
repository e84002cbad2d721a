"""A copy of a model that works for a driver elsewhere: what an actor of a cluster runs.

Everything that comes and goes is plain data: rows, reads, edits, tensors on the CPU. A copy keeps nothing of
one call for the next but views of itself in other template modes and models that stand beside it, so that any
copy can do any piece of work again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from mindscope.core import ModelIdentity
from mindscope.engines.protocol import AnswerRequests, CompanionModel
from mindscope.models import Edits, Generation, LoadOptions, Model, Read, Reading, Row, TemplateMode
from mindscope.store import library_versions


@dataclass(frozen=True)
class CopyFacts:
    """What a driver knows of a model without having it.

    Attributes:
        name: the model's, without a revision that it was asked for by.
        tokenizer: the model's, with which the driver renders conversations itself.
        pass_tokens: tokens of a forward pass on the copy's device: rows are batched by it as in process.
        versions: of the libraries that compute.
    """

    name: str
    n_layers: int
    d_model: int
    vocab_size: int
    model_type: str
    dtype: torch.dtype
    context_length: int | None
    tokenizer: Any
    fingerprint: str
    identity: ModelIdentity
    pass_tokens: int
    versions: Mapping[str, str]


class ModelCopy:
    """One copy of a model, loaded by `open`.

    Args:
        threads: of PyTorch on a CPU. Sums are split among them, so a copy has as many as the driver.
    """

    def __init__(self, threads: int) -> None:
        torch.set_num_threads(threads)
        self._views: dict[str, Model] = {}
        self._companions: dict[str, Model] = {}
        self._model: Model | None = None

    def open(self, name: str, options: LoadOptions) -> CopyFacts:
        """Load the model, and say what it is. A copy that was started again is asked again."""
        from transformers.utils import logging

        logging.disable_progress_bar()
        self._views = {}
        self._model = model = Model.load(name, options)
        return CopyFacts(
            name=model.name,
            n_layers=model.n_layers,
            d_model=model.d_model,
            vocab_size=model.vocab_size,
            model_type=model.model_type,
            dtype=model.dtype,
            context_length=model.context_length,
            tokenizer=model.tokenizer,
            fingerprint=model.fingerprint,
            identity=model.identity,
            pass_tokens=model.pass_tokens,
            versions=library_versions(),
        )

    def width_of(self, address: str) -> int:
        """See `Model.width_of`."""
        return self._loaded().width_of(address)

    def read(
        self, rows: Sequence[Row], reads: Mapping[str, Read], edits: Edits | None, batch_tokens: int | None
    ) -> dict[str, Reading]:
        """See `Model.read`."""
        return self._loaded().read(rows, reads, edits=edits, batch_tokens=batch_tokens)

    def generate(self, requests: AnswerRequests, mode: TemplateMode) -> list[tuple[int, Generation]]:
        """The answers of one batch with the index of each row, in the order in which they ended.

        The mode says what ends an answer and what of it is reasoning.
        """
        model = self._view(mode)
        answers = model.generate_unordered(
            requests.rows,
            requests.sampling,
            edits=requests.edits,
            reads=requests.reads,
            seeds=requests.seeds,
            batch_rows=requests.batch_rows,
        )
        return list(answers)

    def call(
        self,
        function: Callable[..., Any],
        mode: TemplateMode,
        companion: CompanionModel | None,
        vectors_of_base: bool,
        shared: Any,
        arguments: tuple[Any, ...],
    ) -> Any:
        """What a function of this package makes of the model, or of one that stands beside it."""
        if companion is None:
            model = self._view(mode)
            model.vectors_of_base = vectors_of_base
        else:
            model = self._companion(companion)
        return function(model, shared, *arguments)

    def _companion(self, companion: CompanionModel) -> Model:
        key = repr(companion)
        if key not in self._companions:
            self._companions[key] = Model.load(companion.name, companion.options)
        return self._companions[key]

    def _loaded(self) -> Model:
        assert self._model is not None, "open() comes first"
        return self._model

    def _view(self, mode: TemplateMode) -> Model:
        key = repr((sorted(mode.options.items(), key=repr), mode.clock))
        if key not in self._views:
            self._views = {key: self._loaded().with_template(clock=mode.clock, **mode.options)}
        return self._views[key]
