"""What many specifications have in common: a model, a trait, a judge."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mindscope.errors import DataError
from mindscope.jobs.job import JobSpec
from mindscope.jobs.resolve import find_judge, find_trait, load_model
from mindscope.models import LoadOptions, WholeModelOptions

if TYPE_CHECKING:
    from mindscope.judges import EndpointConfig, Judge
    from mindscope.models import Model
    from mindscope.personas import Trait


class TemplateSpec(JobSpec):
    """How the conversations of a model are rendered."""

    template_option: tuple[str, ...] = ()
    """An option of the chat template, such as enable_thinking=false, which holds for every prompt. May be
    repeated."""


class ModelSpec(TemplateSpec, LoadOptions):
    """A model and how it is loaded."""

    model: str
    """A Hugging Face name or folder, a GGUF file, or `organism`, the bundled model."""

    def load(self) -> Model:
        """Load it."""
        return load_model(self.model, self.config(LoadOptions), self.template_option)


def block_of(layer: int | None, published_index: bool) -> int | None:
    """The block whose output a layer that was given means, counted from 0; None where none was given.

    Raises:
        DataError: it means the embeddings, which are no block's output.
    """
    if layer is None or not published_index:
        return layer
    if layer < 1:
        raise DataError(f"index {layer} of a published file is the embeddings: give 1 or more")
    return layer - 1


def blocks_of(layers: tuple[int, ...] | None, published_index: bool) -> tuple[int, ...] | None:
    """The same for several layers."""
    if layers is None:
        return None
    return tuple(block for layer in layers if (block := block_of(layer, published_index)) is not None)


class BorrowingSpec(JobSpec):
    """What was made with a related model may be used."""

    vectors_of_base: bool = False
    """Also take vectors, thresholds and dictionaries that were made with the model's base, or with the same
    weights in another precision; the result names how the models are related."""


class BorrowingModelSpec(BorrowingSpec, ModelSpec):
    """A model with which vectors, thresholds or dictionaries are used."""

    def load(self) -> Model:
        """Load it, and let it take what was made with a related model if that is asked for."""
        model = super().load()
        model.vectors_of_base = self.vectors_of_base
        return model


class Float32ModelSpec(BorrowingSpec, TemplateSpec, WholeModelOptions):
    """A model in float32, whole on one device: what is computed from it must add up to what it computed."""

    model: str
    """A Hugging Face name or folder, a GGUF file, or `organism`, the bundled model."""

    def load(self) -> Model:
        """Load it, and let it take what was made with a related model if that is asked for."""
        model = load_model(self.model, self.config(LoadOptions, dtype="float32"), self.template_option)
        model.vectors_of_base = self.vectors_of_base
        return model


class EndpointSpec(JobSpec):
    """A model behind an OpenAI-compatible endpoint."""

    base_url: str | None = None
    """The address of an OpenAI-compatible endpoint."""
    api_key_env: str | None = None
    """The environment variable that holds the endpoint's key. By default OPENAI_API_KEY is sent to
    api.openai.com, and no key to any other address."""
    request_options: str = ""
    """JSON that is sent with every request to the endpoint, such as
    {"chat_template_kwargs": {"enable_thinking": false}}."""

    def endpoint_config(self, timeout: float = 60.0) -> EndpointConfig:
        """How the endpoint is asked, with `timeout` seconds for each reply."""
        from mindscope.judges import EndpointConfig

        return EndpointConfig(
            api_key_env=self.api_key_env, options=_read_options(self.request_options), timeout=timeout
        )


class JudgeSpec(EndpointSpec):
    """Who scores the answers."""

    judge: str | None = None
    """Who scores the answers: exact (the organism's), model:NAME[@REVISION], or endpoint:NAME. For persona
    vectors also contrast, a classifier made of the trait's own prompted answers, which needs no key
    (contrast:ENCODER: of their sentence vectors); and none, to extract from all pairs unjudged."""
    judge_dtype: str = "auto"
    """The precision of a judge model:NAME: float32, bfloat16, float16, or auto."""
    judge_device: str = "auto"
    """Where a judge model:NAME runs: cpu, cuda, cuda:1, or auto."""

    def find_judge(self, model: Model, cache: Path) -> Judge:
        """The judge, once it has graded a plain answer; what an endpoint says is kept in `cache`."""
        return find_judge(self, model, cache)


class TraitSpec(ModelSpec):
    """A model and a trait of character."""

    trait: str
    """A bundled trait, a file, organism:NAME for the organism's world, or a word and its opposite, such as
    'patient / impatient'."""

    def find_trait(self) -> Trait:
        """The trait."""
        return find_trait(self.trait, self.model)


def _read_options(text: str) -> dict[str, Any]:
    try:
        options = json.loads(text or "{}")
    except ValueError:
        options = None
    if not isinstance(options, dict):
        raise DataError(f"{text!r} is not a JSON object: write for example '{{\"top_k\": 1}}'")
    return options
