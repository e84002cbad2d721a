"""What many specifications have in common: a model, a trait, a judge."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from pydantic import field_validator

from mindscope.core import SECRET_NAME, parse_exact_json
from mindscope.engines import EngineOptions
from mindscope.errors import DataError
from mindscope.jobs.job import JobSpec, Reporter
from mindscope.jobs.resolve import find_judge, find_trait, load_model
from mindscope.models import LoadOptions, WholeModelOptions

if TYPE_CHECKING:
    from mindscope.data import ConversationSource, DataFile
    from mindscope.engines import Engine
    from mindscope.judges import EndpointConfig, Judge
    from mindscope.models import Model
    from mindscope.personas import Trait


KEPT = (
    "which a run's record would keep: put it into the environment and name its variable, --api-key-env NAME"
)


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
        """Load it, once the files are there that are read with it."""
        self.require_inputs()
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


class EngineSpec(EngineOptions, ModelSpec):
    """A model for what only reads and writes, wherever it runs."""

    def load_engine(self) -> Engine:
        """Load it in this process, or as copies elsewhere, once the files are there that are read with it."""
        if self.engine == "eager":
            return self.load()
        from mindscope.engines import open_ray_engine
        from mindscope.models import TemplateMode

        self.require_inputs()
        mode = TemplateMode.parse(self.template_option)  # refuses a misspelt one before anything is loaded
        engine = open_ray_engine(self.model, self.config(LoadOptions), self.config(EngineOptions))
        engine = engine.with_template(**mode.options) if mode.options else engine
        engine.vectors_of_base = getattr(self, "vectors_of_base", False)
        return engine


class Float32ModelSpec(BorrowingSpec, TemplateSpec, WholeModelOptions):
    """A model in float32, whole on one device: what is computed from it must add up to what it computed."""

    model: str
    """A Hugging Face name or folder, a GGUF file, or `organism`, the bundled model."""

    def load(self) -> Model:
        """Load it, and let it take what was made with a related model if that is asked for."""
        self.require_inputs()
        model = load_model(self.model, self.config(LoadOptions, dtype="float32"), self.template_option)
        model.vectors_of_base = self.vectors_of_base
        return model


class DataSpec(JobSpec):
    """How data is read that people keep in forms of their own."""

    columns: tuple[str, ...] = ()
    """What a column is called in the data, by our name for it, such as answer=reply or
    messages=request.turns. May be repeated."""
    split: str | None = None
    """The split of a folder or of a data set on the hub; of the latter also CONFIG/SPLIT, and a part such as
    train[:1000]."""

    def data_file(self, path: Path | str) -> DataFile:
        """A file, folder or data set as it is to be read."""
        from mindscope.data import DataFile, parse_columns

        return DataFile(Path(path), self.split, parse_columns(self.columns))

    def open_data(
        self, path: Path, reporter: Reporter, *, refuse: bool, main: bool = True, read: tuple[str, ...] = ()
    ) -> ConversationSource:
        """Look through all conversations of a file, and say what is there and what is not read.

        Args:
            path: of a file or folder, or the name of a data set on the hub.
            reporter: is told.
            refuse: stop at the first malformed row.
            read: columns beside the conversations that are read as well.
            main: whether it is the data that columns and split are given for. Of other data a column that is
                not there needs no other name, and a single file has no split.

        Raises:
            DataError: it cannot be read, or there are none; with `refuse` the first malformed row, with file
                and line.
        """
        from mindscope.data import ConversationSource

        file = self.data_file(path)
        source = ConversationSource.of(file if main else file.as_other(), refuse=refuse)
        if source.size == 0:
            raise DataError(f"{path} holds no conversations")
        reporter.say(source.describe(read=read))
        return source


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

    @field_validator("base_url")
    @classmethod
    def _refuse_secrets_in_address(cls, url: str | None) -> str | None:
        parts = urlsplit(url or "")
        if "@" in parts.netloc or any(SECRET_NAME.search(name) for name, _ in parse_qsl(parts.query)):
            raise ValueError(f"the address holds a key or a password, {KEPT}")
        return url

    @field_validator("request_options")
    @classmethod
    def _refuse_secrets_in_options(cls, text: str) -> str:
        if any(SECRET_NAME.search(name) for name in re.findall(r'"([^"]+)"\s*:', text)):
            raise ValueError(f"the options hold a key or a password, {KEPT}")
        return text

    def endpoint_config(self, timeout: float = 60.0) -> EndpointConfig:
        """How the endpoint is asked, with `timeout` seconds for each reply."""
        from mindscope.judges import EndpointConfig

        return EndpointConfig(
            api_key_env=self.api_key_env, options=_read_options(self.request_options), timeout=timeout
        )


class JudgeSpec(EndpointSpec):
    """Who scores the answers."""

    judge: str | None = None
    """Who scores the answers: exact (an organism's), model:NAME[@REVISION], or endpoint:NAME. For persona
    vectors also contrast, a classifier made of the trait's own prompted answers, which needs no key
    (contrast:ENCODER: of their sentence vectors); and none, to extract from all pairs unjudged."""
    judge_dtype: str = "auto"
    """The precision of a judge model:NAME: float32, bfloat16, float16, or auto."""
    judge_device: str = "auto"
    """Where a judge model:NAME runs: cpu, cuda, cuda:1, or auto."""

    def find_judge(self, model: Engine, cache: Path) -> Judge:
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
        options = parse_exact_json(text or "{}")
    except ValueError:
        options = None
    if not isinstance(options, dict):
        raise DataError(f"{text!r} is not a JSON object: write for example '{{\"top_k\": 1}}'")
    return options
