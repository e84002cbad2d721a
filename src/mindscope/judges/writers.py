"""Who writes a trait's artefacts: a model behind an endpoint, or one on this machine."""

from dataclasses import replace
from typing import Protocol, runtime_checkable

from mindscope.errors import DataError, JudgeError, ModelError
from mindscope.judges.endpoint import ChatEndpoint, Complete, EndpointConfig
from mindscope.judges.replies import NoReplyError, UnusableReplyError
from mindscope.judges.request_shape import ChatRequest
from mindscope.models import Model, Sampling


@runtime_checkable
class TextWriter(Protocol):
    """Anything that answers a prompt with text. ``name`` says which model it was, for provenance."""

    name: str

    def write(self, prompt: str) -> str: ...


class EndpointWriter:
    """Writes with a model behind an OpenAI-compatible endpoint, with the endpoint's own sampling defaults.

    Args:
        base_url, model, config: see `mindscope.judges.endpoint.ChatEndpoint`.

    Raises:
        JudgeError: the openai package is missing; in `write`, the endpoint cannot be reached, refuses the key
            or the model, or gives no reply however often it is asked.
    """

    def __init__(self, base_url: str, model: str, config: EndpointConfig | None = None) -> None:
        self._endpoint = ChatEndpoint(base_url, model, config)
        self.name = self._endpoint.name

    def write(self, prompt: str) -> str:
        async def ask(complete: Complete, prompt: str) -> str:
            reply = await complete(ChatRequest(prompt))
            return reply.refusal or reply.text

        try:
            return self._endpoint.map(ask, [prompt])[0]
        except (NoReplyError, UnusableReplyError) as error:
            raise JudgeError(f"{self._endpoint.address} gives no reply: {error}") from None


class ModelWriter:
    """Writes with a model loaded here; each call draws with a seed of its own, counting up."""

    def __init__(self, model: Model, sampling: Sampling | None = None) -> None:
        self._model = model
        self._sampling = sampling or Sampling(temperature=0.7, top_p=0.95, max_new_tokens=4096)
        self.name = f"model:{model.name}"

    def write(self, prompt: str) -> str:
        row = self._model.chat([{"role": "user", "content": prompt}])
        try:
            (generation,) = self._model.generate([row], self._sampling)
        except ModelError as error:
            raise DataError(f"{self.name} cannot write artefacts: {error}") from None
        self._sampling = replace(self._sampling, seed=self._sampling.seed + 1)
        return generation.text
