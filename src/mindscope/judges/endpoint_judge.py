"""A judge behind an OpenAI-compatible endpoint."""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from mindscope.judges.cache import ScoreCache
from mindscope.judges.endpoint import ChatEndpoint, Complete, NoLogprobsError, NoReplyError
from mindscope.judges.prompts import COHERENCE, judge_prompt
from mindscope.judges.protocol import EMPTY, JudgeItem, Judgement, JudgeScore, Rubric
from mindscope.judges.reading import score_of_text, score_of_top_tokens

_TEXT_TOKENS = 8  # room for "100" in digits, or for REFUSAL


class EndpointJudge:
    """Scores with a model behind an OpenAI-compatible endpoint, as in Chen et al. 2025, arXiv 2507.21509.

    Asked for one token at temperature 0 with its 20 likeliest alternatives, the score is the mean of the
    integers among them weighted with their probabilities. Where the endpoint gives no log-probabilities, or
    writes numbers digit by digit (then a single token is not the number), the judge is asked for a few tokens
    and its number is read as text.

    A timeout, a rate limit that outlasts the retries and prose are missing scores with the reason in
    ``detail``. What the judge said is cached; what it could not say for the network's sake is asked again the
    next time.

    Args:
        cache: a file (.jsonl) of the scores so far; None keeps them in memory only.
        base_url, model, api_key, concurrency, timeout, retries: see `ChatEndpoint`.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        api_key: str | None = None,
        cache: str | Path | None = None,
        concurrency: int = 16,
        timeout: float = 60.0,
        retries: int = 6,
    ) -> None:
        self._endpoint = ChatEndpoint(
            base_url, model, api_key=api_key, concurrency=concurrency, timeout=timeout, retries=retries
        )
        self._cache = ScoreCache(cache)
        self._has_logprobs = True
        self.name = f"endpoint:{model}"

    def judge(self, rubric: Rubric, items: Sequence[JudgeItem]) -> list[Judgement]:
        """One judgement per item, in order.

        Raises:
            JudgeError: the endpoint cannot be reached, or refuses the key or the model. What was scored by
            then
                is in the cache.
        """
        rubrics = (rubric, COHERENCE)
        prompts = [
            [judge_prompt(asked, item) for asked in rubrics] if item.answer.strip() else [] for item in items
        ]
        scores = self._score(list(dict.fromkeys(chain(*prompts))))
        return [Judgement(*[scores[prompt] for prompt in pair]) if pair else EMPTY for pair in prompts]

    def _score(self, prompts: Sequence[str]) -> dict[str, JudgeScore]:
        keys = {prompt: ScoreCache.key(self._endpoint.model, prompt) for prompt in prompts}
        known = {prompt: score for prompt in prompts if (score := self._cache.get(keys[prompt])) is not None}
        new = [prompt for prompt in prompts if prompt not in known]

        async def ask(complete: Complete, prompt: str) -> JudgeScore:
            try:
                score = await self._ask(complete, prompt)
            except NoReplyError as error:
                return JudgeScore.missing(str(error))
            self._cache.put(keys[prompt], score)
            return score

        return known | dict(zip(new, self._endpoint.map(ask, new), strict=True))

    async def _ask(self, complete: Complete, prompt: str) -> JudgeScore:
        if self._has_logprobs:
            score = await self._ask_logprobs(complete, prompt)
            if score is not None:
                return score
        reply = await complete(prompt, temperature=0, max_tokens=_TEXT_TOKENS)
        return JudgeScore.refusal(reply.refusal) if reply.refusal else score_of_text(reply.text)

    async def _ask_logprobs(self, complete: Complete, prompt: str) -> JudgeScore | None:
        """The score by the first token's alternatives, or None where only text will tell."""
        try:
            reply = await complete(prompt, temperature=0, max_tokens=1, logprobs=True, top_logprobs=20)
        except NoLogprobsError:
            self._has_logprobs = False
            return None
        if reply.refusal:
            return JudgeScore.refusal(reply.refusal)
        if reply.top is None:
            self._has_logprobs = False
            return None
        return score_of_top_tokens(reply.top)
