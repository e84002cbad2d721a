"""Asking a server in its own words: one question in, tokens with log-probabilities out."""

from __future__ import annotations

import base64
import http.client
import json
import secrets
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from mindscope.core import parse_http_address
from mindscope.errors import DataError
from mindscope.server.conform.results import Dialect

if TYPE_CHECKING:
    from mindscope.models import Message

Positions = Literal["all", "prompt", "answer"]
_SECONDS = 120.0
_REPLY_BYTES = 2**26


@dataclass(frozen=True, slots=True)
class KnownVector:
    """A vector that the suite sends.

    Attributes:
        layer: the block behind which it is added.
        values: its numbers.
        coefficient: how many times it is added.
        positions: to which tokens.
    """

    layer: int
    values: tuple[float, ...]
    coefficient: float
    positions: Positions = "all"


@dataclass(frozen=True, slots=True)
class ServedAnswer:
    """What a server answered.

    Attributes:
        text: the answer.
        tokens: each token's text and log-probability.
        extra: what else it said of the answer.
    """

    text: str
    tokens: tuple[tuple[str, float], ...]
    extra: Mapping[str, Any] | None = None


class RefusedError(DataError):
    """The server said no, with a status between 400 and 499."""


class SteeringClient:
    """A server that understands one dialect.

    Args:
        url: its address, up to `/v1`.
        dialect: how it is told what to steer.
        model: what it calls the model.
        token: what it wants as a key.

    Raises:
        DataError: the address is none.
    """

    def __init__(self, url: str, dialect: Dialect, model: str, token: str | None = None):
        try:
            parts = parse_http_address(url)
        except ValueError as error:
            raise DataError(
                f"{url!r} is no address ({error}): write for example http://127.0.0.1:8000/v1"
            ) from None
        self.url, self.dialect, self.model = url.rstrip("/"), dialect, model
        self._parts, self._token = parts, token
        self._names: dict[tuple[int, tuple[float, ...]], str] = {}

    def ask(
        self,
        messages: Sequence[Message],
        vectors: Sequence[KnownVector],
        n_tokens: int,
        *,
        stream: bool = False,
    ) -> ServedAnswer:
        """One greedy answer.

        Raises:
            RefusedError: the server does not take the request.
            DataError: it does not answer, or not in the form that it should.
        """
        if self.dialect == "neuronpedia":
            return self._ask_neuronpedia(messages, vectors, n_tokens, stream=stream)
        body: dict[str, Any] = {
            "model": self.model,
            "messages": list(messages),
            "temperature": 0,
            "max_tokens": n_tokens,
            "logprobs": True,
            "top_logprobs": 1,
            "stream": stream,
        }
        if self.dialect == "mindscope":
            body["mindscope"] = {"steer": [self._item(vector) for vector in vectors]}
        elif vectors:
            body["steering"] = {
                "vectors": [_easysteer_vector(vector) for vector in vectors],
                "conflict": "sequential",
            }
        return _read_chat(self.post("/chat/completions", body), stream=stream)

    def post(self, path: str, body: Any, method: str = "POST") -> bytes:
        """A request of the server's.

        Raises:
            RefusedError: it says no.
            DataError: it does not answer, or fails.
        """
        kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(self._parts.hostname or "", self._parts.port, timeout=_SECONDS)
        headers = {"Content-Type": "application/json"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        try:
            raw = None if body is None else json.dumps(body).encode()
            connection.request(method, self._parts.path.rstrip("/") + path, raw, headers)
            reply = connection.getresponse()
            content = reply.read(_REPLY_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise DataError(f"{self.url}{path} does not answer: {error}") from error
        finally:
            connection.close()
        told = " ".join(content[:200].decode(errors="replace").split())
        if 400 <= reply.status < 500:
            raise RefusedError(f"{path} answered {reply.status}: {told}")
        if reply.status >= 300:
            told = f"it points to {reply.headers['Location']}" if reply.status < 400 else told
            raise DataError(f"{self.url}{path} answered {reply.status}: {told}")
        return content

    def close(self) -> None:
        """Delete the vectors that were sent."""
        for name in self._names.values():
            self.post(f"/mindscope/vectors/{name}", None, "DELETE")
        self._names.clear()

    def _item(self, vector: KnownVector) -> dict[str, Any]:
        """A vector as mindscope writes it; its numbers go ahead of it, once."""
        key = (vector.layer, vector.values)
        if key not in self._names:
            name = f"conform-{secrets.token_hex(6)}"
            numbers = {"vectors": {f"resid_post.{vector.layer}": list(vector.values)}}
            self.post(f"/mindscope/vectors/{name}", numbers, "PUT")
            self._names[key] = name
        return {
            "vector": self._names[key],
            "coefficient": vector.coefficient,
            "positions": vector.positions,
        }

    def _ask_neuronpedia(
        self,
        messages: Sequence[Message],
        vectors: Sequence[KnownVector],
        n_tokens: int,
        *,
        stream: bool,
    ) -> ServedAnswer:
        if any(vector.positions != "all" for vector in vectors):
            raise RefusedError("this dialect steers all tokens")
        kind = "STEERED" if vectors else "DEFAULT"
        body = {
            "prompt": list(messages),
            "model": self.model,
            "steerMethod": "SIMPLE_ADDITIVE",
            "normalizeSteering": False,
            "types": [kind],
            "vectors": [
                {
                    "steeringVector": list(vector.values),
                    "strength": float(vector.coefficient),
                    "hook": f"blocks.{vector.layer}.hook_resid_post",
                }
                for vector in vectors
            ],
            "nCompletionTokens": n_tokens,
            "temperature": 0,
            "strengthMultiplier": 1.0,
            "freqPenalty": 0.0,
            "seed": 0.0,
            "steerSpecialTokens": True,
            "nLogprobs": 1,
            "stream": stream,
        }
        content = self.post("/steer/completion-chat", body)
        try:
            last = _events(content)[-1] if stream else json.loads(content)
            (output,) = last["outputs"]
            turns = output.get("chatTemplate") or output["chat_template"]
            tokens = tuple((one["token"], float(one["logprob"])) for one in output.get("logprobs") or ())
            return ServedAnswer(turns[-1]["content"], tokens)
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise DataError(f"the reply has another form than Neuronpedia's: {error!r}") from error


def _easysteer_vector(vector: KnownVector) -> dict[str, Any]:
    data = base64.b64encode(struct.pack(f"<{len(vector.values)}f", *vector.values)).decode()
    apply = {"all": {"prompt": "all", "generation": "all"}, "prompt": {"prompt": "all"}}
    return {
        "data": {
            "version": 1,
            "kind": "direction",
            "tensors": {f"layer.{vector.layer}": {"shape": [len(vector.values)], "data": data}},
            "extra": {},
        },
        "algorithm": "direct",
        "scale": vector.coefficient,
        "layers": [vector.layer],
        "apply": apply.get(vector.positions, {"generation": "all"}),
    }


def _events(content: bytes) -> list[Any]:
    """The objects of a stream of server-sent events."""
    lines = [line[5:].strip() for line in content.decode().splitlines() if line.startswith("data:")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def _read_chat(content: bytes, *, stream: bool) -> ServedAnswer:
    try:
        if not stream:
            choice = json.loads(content)["choices"][0]
            text, parts, extra = choice["message"]["content"], [choice["logprobs"]], choice.get("mindscope")
        else:
            choices = [event["choices"][0] for event in _events(content) if event["choices"]]
            text = "".join(choice["delta"].get("content") or "" for choice in choices)
            parts = [choice.get("logprobs") for choice in choices]
            extra = choices[-1].get("mindscope")
        tokens = tuple(
            (one["token"], float(one["logprob"])) for part in parts if part for one in part["content"]
        )
        return ServedAnswer(text or "", tokens, extra)
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise DataError(f"the reply has another form than a chat completion's: {error!r}") from error
