"""How one endpoint wants to be asked, learnt from what it refuses.

OpenAI's newer models refuse ``max_tokens`` and a temperature, other servers refuse log-probabilities, or so
many of them, or so short a reply. Each refusal changes how all later requests are written, once.
"""

from dataclasses import dataclass
from typing import Any

_ALTERNATIVES = (20, 5, 0)
"""How many alternatives of the first token are asked for: as many as OpenAI gives, as others do, none."""

_SHORTEST = (1, 16)
"""The fewest tokens that a reply is allowed: OpenAI's newer interface takes no less than 16."""

_TOO_FEW = ("minimum", "at least", "below", "less than", "greater than", ">=")


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A prompt, and how it is to be answered."""

    prompt: str
    tokens: int | None = None
    """The most tokens of the reply; None leaves it to the endpoint."""
    greedy: bool = False
    """Whether the likeliest reply is asked for; otherwise the endpoint's own sampling."""
    alternatives: bool = False
    """Whether the first token's alternatives are asked for."""


@dataclass(slots=True)
class RequestShape:
    """The parameters that an endpoint takes."""

    limit: str = "max_tokens"
    takes_temperature: bool = True
    alternatives: int = _ALTERNATIVES[0]
    shortest: int = _SHORTEST[0]

    def write(self, request: ChatRequest) -> dict[str, Any]:
        """The parameters for a request."""
        parameters: dict[str, Any] = {}
        if request.greedy and self.takes_temperature:
            parameters["temperature"] = 0
        if request.tokens is not None:
            parameters[self.limit] = max(request.tokens, self.shortest)
        if request.alternatives and self.alternatives:
            parameters |= {"logprobs": True, "top_logprobs": self.alternatives}
        return parameters

    def learn(self, refusal: str, sent: dict[str, Any]) -> bool:
        """Whether a refusal was about a parameter that was ``sent`` and need not be sent the next time."""
        said = refusal.lower()
        limit = next((name for name in ("max_completion_tokens", "max_tokens") if name in sent), None)
        if limit is not None and ("max_tokens" in said or "max_completion_tokens" in said):
            if self.shortest == _SHORTEST[0] and any(words in said for words in _TOO_FEW):
                self.shortest = _SHORTEST[1]
                return True
            if limit == "max_tokens" and "max_completion_tokens" in said:
                self.limit = "max_completion_tokens"
                return True
        if "temperature" in said and "temperature" in sent:
            self.takes_temperature = False
            return True
        if "logprob" in said and "top_logprobs" in sent:
            counts_them = "top_logprobs" in said and sent["top_logprobs"] == _ALTERNATIVES[0]
            fewer = _ALTERNATIVES[1] if counts_them else _ALTERNATIVES[2]
            self.alternatives = min(self.alternatives, fewer)
            return True
        return False
