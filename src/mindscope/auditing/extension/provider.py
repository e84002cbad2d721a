"""A model provider for Inspect: any model that mindscope opens, steered and watched call by call.

    inspect eval TASK --model mindscope/organism -M monitor=sae.3/2026 -M steer="2 sae.3/2026"

Model arguments say what holds for all calls (`ProviderOptions`); a call changes any of it by
`GenerateConfig(extra_body={"mindscope": {"steer": …}})`. What was done and read is in the metadata of the
output and of its message, as a `CallRecord`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inspect_ai.model import (
    ChatMessage,
    GenerateConfig,
    ModelAPI,
    ModelOutput,
    ModelUsage,
)
from inspect_ai.model._model_info import MODEL_INFO_LOOKUP_API_KEY
from inspect_ai.tool import ToolChoice, ToolInfo
from pydantic import ConfigDict, Field, field_validator

from mindscope.auditing.extension.answering import AnswerThread, CallAnswer, CallWatch
from mindscope.auditing.extension.call import (
    CallFields,
    read_fields,
)
from mindscope.auditing.extension.replies import build_choice, record_call
from mindscope.errors import DataError

if TYPE_CHECKING:
    from mindscope.features import Feature
    from mindscope.jobs import SteeringNames
    from mindscope.models import GenerationRequest, Message, Model
    from mindscope.monitoring import Calibration, LiveMonitor

_SEEDS = 2**31


class ProviderOptions(CallFields):
    """What holds for all calls of a model: loading, vectors, and how answers are steered by default."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    dtype: str | None = None
    """The precision: float32, bfloat16, float16; by default what runs fastest here."""
    device: str | None = None
    """Where the model runs: cpu, cuda, cuda:1."""
    template_option: tuple[str, ...] = ()
    """Options of the chat template, such as enable_thinking=false."""
    vectors: tuple[Path, ...] = ()
    """Runs or files of persona vectors that calls name by their traits."""
    vectors_of_base: bool = False
    """Also take vectors, thresholds and dictionaries of a related model."""
    layer: int | None = Field(default=None, ge=0)
    """Where vectors stand of which nothing says it, counted from 0."""
    thresholds: Path | None = None
    """A file of thresholds for exactly what `monitor` names."""
    max_new_tokens: int = Field(default=256, ge=1)
    """The most tokens of an answer where the evaluation does not say it."""
    slots: int = Field(default=16, ge=1)
    """The most answers that are written side by side."""

    @field_validator("vectors", "template_option", mode="before")
    @classmethod
    def _split_texts(cls, value: object) -> object:
        return [part for part in value.split(",") if part] if isinstance(value, str) else value or ()


class MindscopeAPI(ModelAPI):
    """Answers of a model that is steered and watched while it writes them.

    Args:
        model_name: what stands behind `mindscope/`: `organism`, a folder, a GGUF file, or a hub name.
        base_url: not used.
        api_key: not used: nothing is sent anywhere.
        config: the evaluation's settings.
        model_args: the fields of `ProviderOptions`.

    Raises:
        DataError: an argument that there is not, a name that means nothing, or thresholds of other features.
        ModelError: the model cannot be loaded.
    """

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig = GenerateConfig(),  # noqa: B008 - the signature of all providers
        **model_args: Any,
    ):
        super().__init__(model_name, base_url, api_key, [], config)
        self.options: ProviderOptions = read_fields(ProviderOptions, model_args, "model arguments")
        if api_key == MODEL_INFO_LOOKUP_API_KEY:
            return  # Inspect asks what is known of the name and never for an answer
        with AnswerThread.passing:
            self._open()

    def _open(self) -> None:
        """Load all that answers need, and refuse defaults that do not fit before anything is asked."""
        self.model = self._load()
        self._directions: dict[str, tuple[Feature, ...]] = {}
        self._monitors: dict[tuple[str, ...], LiveMonitor] = {}
        self.calibration = self._load_thresholds()
        self._plan(self.options)
        self._thread = AnswerThread(self.model, self.options.slots)

    def _load(self) -> Model:
        from mindscope.jobs import load_model

        options = self.options
        model = load_model(
            self.model_name,
            template_option=options.template_option,
            dtype=options.dtype,
            device=options.device,
        )
        model.vectors_of_base = options.vectors_of_base
        return model

    @cached_property
    def names(self) -> SteeringNames:
        """What the names of calls mean."""
        from mindscope.jobs import SteeringNames, find_choice, find_vectors

        vectors, chosen = {}, {}
        for path in self.options.vectors:
            for one in find_vectors(path, self.model):
                if one.trait in vectors:
                    raise DataError(f"two of the vectors are called {one.trait!r}: give each once")
                vectors[one.trait] = one
                if (choice := find_choice(path, one)) is not None:
                    chosen[one.trait] = choice.layer
        return SteeringNames(self.model, vectors, chosen=chosen, layer=self.options.layer)

    def _load_thresholds(self) -> Calibration | None:
        from mindscope.features import FeatureSet
        from mindscope.monitoring import Calibration

        if self.options.thresholds is None:
            return None
        if not self.options.monitor:
            raise DataError("thresholds need to know of what: name the same features with monitor=")
        calibration = Calibration.load(self.options.thresholds).for_model(self.model)
        calibration.require_template(self.model)
        calibration.require(FeatureSet([one for name in self.options.monitor for one in self._find(name)]))
        return calibration

    def max_tokens(self) -> int | None:
        """The most tokens of an answer where nothing says it."""
        return self.options.max_new_tokens

    def max_connections(self) -> int:
        """How many answers are worth asking for at once."""
        return self.options.slots

    def connection_key(self) -> str:
        """Each loaded model has its own slots."""
        return f"{self.model_name}-{id(self)}"

    async def count_text_tokens(self, text: str) -> int:
        """By the model's own tokenizer."""
        return len(self.model.tokenizer(text)["input_ids"])

    def close(self) -> None:
        """Let the thread go that writes the answers."""
        if hasattr(self, "_thread"):
            self._thread.close()

    async def generate(
        self,
        input: list[ChatMessage],  # noqa: A002 - the name that Inspect calls it by
        tools: list[ToolInfo],
        tool_choice: ToolChoice,
        config: GenerateConfig,
    ) -> ModelOutput:
        """The answers to a conversation.

        A last message of the assistant is the beginning of its answer. Tools are described in the prompt and
        read out of the answer as Inspect does it for models in process.
        """
        if tool_choice == "none":
            tools = []
        fields = self.options.changed_by(config.extra_body)
        with AnswerThread.passing:
            edits, watch, labels = self._plan(fields)
        handler = _tool_handler(self.model_name) if tools else None
        row = self._row(input, tools, handler)
        seed = config.seed if config.seed is not None else random.randrange(_SEEDS)
        requests = [
            self._request(row, config, seed + number, edits) for number in range(config.num_choices or 1)
        ]
        futures = [asyncio.wrap_future(self._thread.submit(request, watch)) for request in requests]
        answers: list[CallAnswer] = await asyncio.gather(*futures)
        records = [
            record_call(
                self.model_name,
                self.model,
                self.calibration,
                answer,
                fields,
                watch,
                labels,
                seed + number,
            )
            for number, answer in enumerate(answers)
        ]
        choices = [
            build_choice(self.model_name, self.model, answer, record, tools, handler, config)
            for answer, record in zip(answers, records, strict=True)
        ]
        n_prompt = row.prompt_length
        written = sum(len(answer.generation.row) - n_prompt for answer in answers)
        return ModelOutput(
            model=self.model_name,
            choices=choices,
            usage=ModelUsage(input_tokens=n_prompt, output_tokens=written, total_tokens=n_prompt + written),
            metadata=records[0].as_metadata(),
        )

    def _row(self, conversation: Sequence[ChatMessage], tools: Sequence[ToolInfo], handler: Any) -> Any:
        messages = list(conversation)
        if handler is not None:
            messages = handler.input_with_tools(messages, list(tools))
        turns: list[Message] = [_plain_turn(message) for message in messages]
        begun = turns.pop()["content"] if turns and turns[-1]["role"] == "assistant" else None
        return self.model.chat(turns, answer=begun)

    def _request(self, row: Any, config: GenerateConfig, seed: int, edits: Any) -> GenerationRequest:
        from mindscope.models import GenerationRequest, Sampling

        sampling = Sampling(
            temperature=1.0 if config.temperature is None else config.temperature,
            top_p=1.0 if config.top_p is None else config.top_p,
            top_k=config.top_k or 0,
            max_new_tokens=config.max_tokens or self.options.max_new_tokens,
            stop=tuple(config.stop_seqs or ()),
        )
        wanted = (config.top_logprobs or 0) if config.logprobs else None
        return GenerationRequest(
            row, sampling, seed=seed, edits=edits, n_logprobs=wanted, measures_edits=bool(edits)
        )

    def _plan(self, fields: CallFields) -> tuple[tuple[Any, ...], CallWatch | None, tuple[str, ...]]:
        """The edits, the watch and the names of its columns."""
        from mindscope.features import FeatureSet, SteerExpression
        from mindscope.monitoring import LiveMonitor, Policy

        edits = self.names.edits(SteerExpression.parse(fields.steer)) if fields.steer else ()
        self.model.check_edits(edits)
        if not fields.monitor:
            if fields.policy != "log":
                raise DataError(f"the policy {fields.policy!r} needs something to monitor")
            return edits, None, ()
        watched = fields.monitor
        if self.calibration is not None:
            if unknown := [name for name in fields.monitor if name not in self.options.monitor]:
                raise DataError(
                    f"{unknown[0]} has no thresholds here: monitor some of {self.options.monitor}"
                )
            watched = self.options.monitor
        columns: dict[str, list[int]] = {}
        features: list[Feature] = []
        for name in watched:
            own = self._find(name)
            columns[name] = list(range(len(features), len(features) + len(own)))
            features += own
        if watched not in self._monitors:
            self._monitors[watched] = LiveMonitor(FeatureSet(features), self.calibration)
        monitor = self._monitors[watched]
        if self.calibration is None and fields.policy != "log":
            raise DataError(f"the policy {fields.policy!r} needs thresholds: give a file with thresholds=")
        chosen = tuple(column for name in fields.monitor for column in columns[name])
        labels = tuple(
            name if len(columns[name]) == 1 else monitor.features.keys[column]
            for name in fields.monitor
            for column in columns[name]
        )
        return edits, CallWatch(monitor, Policy(fields.policy, fields.coefficient), chosen), labels

    def _find(self, name: str) -> tuple[Feature, ...]:
        """What is read under a name: projections on its directions, or the activation of a latent."""
        if name not in self._directions:
            self._directions[name] = tuple(self.names.features(name))
        return self._directions[name]


def _tool_handler(model_name: str) -> Any:
    from inspect_ai.model._providers.util import Llama31Handler

    return Llama31Handler(model_name)


def _plain_turn(message: ChatMessage) -> Message:
    """A message as a template takes it: the result of a tool is said by the user, as Inspect words it."""
    if message.role == "tool":
        error = f" (error: {message.error.message})" if message.error else ""
        return {"role": "user", "content": f"<tool_response>\n{message.text}{error}\n</tool_response>"}
    return {"role": message.role, "content": message.text}
