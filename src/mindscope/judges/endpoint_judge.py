"""A judge behind an OpenAI-compatible endpoint.

1. Before the first score the judge grades a made-up answer that is plainly coherent. What it can do decides
   how every later score is read, so that all are on one scale:
   "weighted" from the first token's alternatives, where whole numbers are among them;
   "text" from the number it writes, where there are no log-probabilities or numbers are written digit by
   digit;
   "reasoned" from the number behind its reasoning, where it reasons first.
   A judge that gives no number in any of these ways is refused there and then.
2. Each prompt is asked that way. An odd reply is asked once more, and then is a missing score with its
   reason.
3. What failed for the network's sake is "unanswered", and asked again the next time. Where as many requests
   in a row as are under way at once failed so, the rest is not asked at all.
"""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Literal, get_args

from mindscope.errors import JudgeError
from mindscope.judges.cache import ScoreCache
from mindscope.judges.endpoint import ChatEndpoint, Complete, EndpointConfig
from mindscope.judges.probe import PROBE
from mindscope.judges.prompts import COHERENCE, judge_prompt
from mindscope.judges.protocol import EMPTY, JudgeItem, Judgement, JudgeScore, Rubric
from mindscope.judges.reading import score_of_text, score_of_top_tokens, spells_whole_numbers
from mindscope.judges.replies import EndpointReply, NoReplyError, UnusableReplyError
from mindscope.judges.request_shape import ChatRequest

ScoreReading = Literal["weighted", "text", "reasoned"]

_TEXT_TOKENS = 8
"""Room for "100" in digits, or for REFUSAL."""

_REASONED_TOKENS = 4096
"""Room for the reasoning of today's models about a grade, which is mostly some hundreds of tokens."""

_ATTEMPTS = 2
"""How often a prompt is asked whose reply lacks what other replies had."""


class EndpointJudge:
    """Scores with a model behind an OpenAI-compatible endpoint, as in Chen et al. 2025, arXiv 2507.21509.

    Asked for one token at temperature 0 with its 20 likeliest alternatives, the score is the mean of the
    integers among them weighted with their probabilities. Where the endpoint gives no log-probabilities,
    writes numbers digit by digit (then a single token is not the number) or reasons first, the number that it
    writes is the score. Which it is, is settled once per judge, by an answer made up for that.

    A timeout, a rate limit that outlasts the retries and a lost connection are scores with status
    "unanswered"; prose and replies without an answer are missing ones. Both have the reason in ``detail``.
    What the judge said is cached; what is unanswered is asked again the next time.

    Args:
        base_url, model, config: see `ChatEndpoint`.
        cache: a file (.jsonl) of the scores so far; None keeps them in memory only.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        config: EndpointConfig | None = None,
        *,
        cache: str | Path | None = None,
    ) -> None:
        self._endpoint = ChatEndpoint(base_url, model, config)
        self._cache = ScoreCache(cache)
        self._reading: ScoreReading | None = None
        self._failures = 0  # in a row
        self.name = self._endpoint.name

    def judge(self, rubric: Rubric, items: Sequence[JudgeItem]) -> list[Judgement]:
        """One judgement per item, in order.

        Raises:
            JudgeError: the endpoint cannot be reached at all, refuses the key or the model, or never gives a
                number. What was scored by then is in the cache.
        """
        rubrics = (rubric, COHERENCE)
        prompts = [
            [judge_prompt(asked, item) for asked in rubrics] if item.answer.strip() else [] for item in items
        ]
        scores = self._score(list(dict.fromkeys(chain(*prompts))))
        return [Judgement(*[scores[prompt] for prompt in pair]) if pair else EMPTY for pair in prompts]

    def _score(self, prompts: Sequence[str]) -> dict[str, JudgeScore]:
        known = self._known(prompts)
        if len(known) == len(prompts):
            return known
        reading = self._settled()
        known = self._known(prompts)  # the probe's score is among them by now
        new = [prompt for prompt in prompts if prompt not in known]
        self._failures, most_failures = 0, self._endpoint.config.concurrency

        async def ask(complete: Complete, prompt: str) -> JudgeScore:
            if self._failures >= most_failures:
                return JudgeScore.unanswered("the endpoint had stopped answering")
            try:
                score = await _ask(complete, prompt, reading)
            except NoReplyError as error:
                self._failures += 1
                return JudgeScore.unanswered(str(error))
            except UnusableReplyError as error:
                score = JudgeScore.missing(str(error))
            self._failures = 0
            self._cache.put(self._key(prompt), score)
            return score

        return known | dict(zip(new, self._endpoint.map(ask, new), strict=True))

    def _known(self, prompts: Sequence[str]) -> dict[str, JudgeScore]:
        scores = {prompt: self._cache.get(self._key(prompt)) for prompt in prompts}
        return {prompt: score for prompt, score in scores.items() if score is not None}

    def _key(self, prompt: str) -> str:
        return ScoreCache.key(self.name, str(self._endpoint.address), prompt)

    def _settled(self) -> ScoreReading:
        """How scores are read; the probe's score in the cache says so in its detail."""
        if (reading := self._reading) is None:
            key = self._key(judge_prompt(COHERENCE, PROBE))
            score = self._cache.get(key)
            if score is None:
                score = self._settle()
                self._cache.put(key, score)
            reading = next(reading for reading in get_args(ScoreReading) if reading == score.detail)
            self._reading = reading
        return reading

    def _settle(self) -> JudgeScore:
        try:
            return self._endpoint.map(self._ask_probe, [judge_prompt(COHERENCE, PROBE)])[0]
        except NoReplyError as error:
            raise JudgeError(f"{self._endpoint.address} gives no reply: {error}") from None
        except UnusableReplyError as error:
            raise JudgeError(f"{self._endpoint.address} cannot judge: {error}") from None

    async def _ask_probe(self, complete: Complete, prompt: str) -> JudgeScore:
        """The probe's score, with the way to read scores as its detail."""
        top = None
        for _ in range(_ATTEMPTS):
            if top is None and self._endpoint.gives_alternatives:
                reply = await complete(_request(prompt, "weighted"))
                top = reply.top
        if top is not None and spells_whole_numbers(top):
            score = score_of_top_tokens(top)
            if score.status != "missing":
                return JudgeScore(score.value, score.status, "weighted")
        score = JudgeScore.missing("the judge wrote nothing")
        for reading in ("text", "reasoned"):
            reply = await complete(_request(prompt, reading))
            score = _score_of_written(reply)
            if score.status != "missing":
                return JudgeScore(score.value, score.status, reading)
        raise JudgeError(
            f"{self.name} gives no number for a plain answer ({score.detail}): take another judge, or other "
            "options for its requests"
        )


async def _ask(complete: Complete, prompt: str, reading: ScoreReading) -> JudgeScore:
    request = _request(prompt, reading)
    if reading != "weighted":
        return _score_of_written(await complete(request))
    for _ in range(_ATTEMPTS):
        reply = await complete(request)
        if reply.refusal:
            return JudgeScore.refusal(reply.refusal)
        if reply.top is not None:
            return score_of_top_tokens(reply.top)
    return JudgeScore.missing("the reply has no log-probabilities that can be read, as others had")


def _request(prompt: str, reading: ScoreReading) -> ChatRequest:
    tokens = {"weighted": 1, "text": _TEXT_TOKENS, "reasoned": _REASONED_TOKENS}[reading]
    return ChatRequest(prompt, tokens, greedy=True, alternatives=reading == "weighted")


def _score_of_written(reply: EndpointReply) -> JudgeScore:
    if reply.refusal:
        return JudgeScore.refusal(reply.refusal)
    if not reply.text.strip() and (reply.reasoned or reply.cut):
        return JudgeScore.missing("the judge reasoned until its tokens were spent")
    return score_of_text(reply.text)
