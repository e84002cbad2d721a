"""Differences of next-token distributions along answers, and where they are largest.

1. Both models read the same rows: a prompt with the tuned model's answer, then with the base model's.
2. At each position that predicts an answer token there are two distributions over the vocabulary, p (tuned)
   and b (base). KL(p || b), KL(b || p) and the Jensen-Shannon divergence are computed there in float32.
3. A row's number is the mean over its positions, so that long answers do not count more; a prompt is the unit
   of every interval.
4. The mean of p - b over all positions says which tokens the tuning raised and lowered.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from mindscope.core import Progress
from mindscope.diffing.config import DiffConfig
from mindscope.diffing.estimates import estimate
from mindscope.diffing.pairing import Prompt, chat_row, question_of
from mindscope.diffing.results import DistributionReading, PromptDivergence, TokenChange
from mindscope.models import Model, Row, token_texts

LOGIT_BYTES = 1 << 28
"""The most that the logits of one batch of one model may take, in float32."""
SHOWN_PROMPTS = 10


@dataclass(frozen=True)
class RowDivergences:
    """One row through both models.

    Attributes:
        kl, kl_back, js: `[answer tokens]`: KL(tuned || base), KL(base || tuned), Jensen-Shannon; nats.
        before, after: `[vocabulary]`, the sums of probabilities over the answer's positions.
    """

    kl: Float[Tensor, "tokens"]
    kl_back: Float[Tensor, "tokens"]
    js: Float[Tensor, "tokens"]
    before: Float[Tensor, "vocabulary"]
    after: Float[Tensor, "vocabulary"]


def compare_rows(base: Model, tuned: Model, rows: Sequence[Row]) -> Iterator[tuple[int, RowDivergences]]:
    """The index of each row that has an answer, and its divergences, longest rows first."""
    for batch in answered_batches((base, tuned), rows):
        chosen = [rows[i] for i in batch]
        with torch.inference_mode():
            logits = [model.hf(**model.batch(chosen), use_cache=False).logits for model in (base, tuned)]
            for line, index in enumerate(batch):
                yield index, _divergences(rows[index], logits[0][line], logits[1][line])


def answered_batches(models: Sequence[Model], rows: Sequence[Row]) -> Iterator[list[int]]:
    """Indices of rows with an answer that pass side by side, longest first, as many as their logits allow."""
    widest = max(model.vocab_size for model in models)
    order = sorted((i for i, row in enumerate(rows) if row.answer), key=lambda i: -len(rows[i]))
    tokens = max(1, min([*(model.pass_tokens for model in models), LOGIT_BYTES // (4 * widest)]))
    while order:
        size = max(1, tokens // max(1, len(rows[order[0]])))
        yield order[:size]
        order = order[size:]


def _divergences(row: Row, base: Tensor, tuned: Tensor) -> RowDivergences:
    """`base` and `tuned` are logits `[columns, vocabulary]` of one row."""
    where = slice(row.prompt_length - 1, len(row) - 1)
    width = min(base.shape[1], tuned.shape[1])  # rows of padding behind the vocabulary may differ
    log_b, log_p = (logits[where, :width].float().log_softmax(-1).cpu() for logits in (base, tuned))
    b, p = log_b.exp(), log_p.exp()
    log_m = ((b + p) / 2).clamp_min(1e-30).log()
    return RowDivergences(
        kl=(p * (log_p - log_b)).sum(-1).clamp_min(0),
        kl_back=(b * (log_b - log_p)).sum(-1).clamp_min(0),
        js=((p * (log_p - log_m) + b * (log_b - log_m)).sum(-1) / 2).clamp_min(0),
        before=b.sum(0),
        after=p.sum(0),
    )


@dataclass(frozen=True)
class PromptDivergences:
    """Per prompt, means over the tokens of the answers; NaN where an answer is empty.

    Attributes:
        kl: KL(tuned || base) along the tuned model's answer.
        kl_back: KL(base || tuned) along the base model's answer.
        js: the mean over both answers.
        tokens: Jensen-Shannon at each token of the tuned model's answer.
        before, after: `[vocabulary]`, mean probabilities over the tuned model's answers.
    """

    kl: Float64[np.ndarray, "prompts"]
    kl_back: Float64[np.ndarray, "prompts"]
    js: Float64[np.ndarray, "prompts"]
    tokens: list[list[float]]
    before: Float[Tensor, "vocabulary"]
    after: Float[Tensor, "vocabulary"]


def compare_prompts(
    base: Model,
    tuned: Model,
    prompts: Sequence[Prompt],
    base_answers: Sequence[str],
    tuned_answers: Sequence[str],
    progress: Progress | None = None,
) -> PromptDivergences:
    """The divergences of two models that read each prompt with the answer of either."""
    count = len(prompts)
    rows = [
        chat_row(base, prompt, answer)
        for prompt, answer in zip([*prompts, *prompts], [*tuned_answers, *base_answers], strict=True)
    ]
    js = np.full((2, count), np.nan)
    kl, kl_back = np.full(count, np.nan), np.full(count, np.nan)
    tokens: list[list[float]] = [[] for _ in prompts]
    before: Tensor | float = 0.0
    after: Tensor | float = 0.0
    n_tokens = 0
    for done, (index, row) in enumerate(compare_rows(base, tuned, rows), 1):
        of_base, prompt = divmod(index, count)
        js[of_base, prompt] = float(row.js.mean())
        if of_base:
            kl_back[prompt] = float(row.kl_back.mean())
        else:
            kl[prompt] = float(row.kl.mean())
            tokens[prompt] = row.js.tolist()
            before, after, n_tokens = before + row.before, after + row.after, n_tokens + len(row.js)
        if progress is not None:
            progress(done, len(rows), "distributions")
    nothing = torch.zeros(base.vocab_size)
    return PromptDivergences(
        kl=kl,
        kl_back=kl_back,
        js=js.mean(0),
        tokens=tokens,
        before=before / n_tokens if isinstance(before, Tensor) else nothing,
        after=after / n_tokens if isinstance(after, Tensor) else nothing,
    )


def read_distributions(
    model: Model,
    prompts: Sequence[Prompt],
    answers: Sequence[str],
    measured: PromptDivergences,
    config: DiffConfig,
) -> DistributionReading:
    """The reading of a page: means with intervals, the prompts and tokens where it is largest.

    Args:
        model: whose tokenizer names the tokens.
        prompts: what was asked.
        answers: the tuned model's.
        measured: of these prompts.
        config: resamples, seed, lengths of lists.
    """
    known = np.flatnonzero(np.isfinite(measured.js))
    largest = sorted(known.tolist(), key=lambda i: -measured.js[i])[:SHOWN_PROMPTS]
    change = measured.after - measured.before
    order = change.argsort(descending=True)
    vocabulary = [int(token) for token in order[: config.n_terms]]
    lowered = [int(token) for token in order.flip(0)[: config.n_terms]]
    return DistributionReading(
        n_prompts=len(known),
        kl=estimate(measured.kl[np.isfinite(measured.kl)], config),
        kl_of_base=estimate(measured.kl_back[np.isfinite(measured.kl_back)], config),
        js=estimate(measured.js[known], config),
        largest=tuple(_divergence(model, prompts[i], answers[i], measured, i) for i in largest),
        raised=tuple(_change(model, token, measured) for token in vocabulary if change[token] > 0),
        lowered=tuple(_change(model, token, measured) for token in lowered if change[token] < 0),
    )


def _divergence(
    model: Model, prompt: Prompt, answer: str, measured: PromptDivergences, index: int
) -> PromptDivergence:
    row = chat_row(model, prompt, answer)
    texts = token_texts(model.tokenizer, row.ids)[row.prompt_length :]
    return PromptDivergence(
        prompt=question_of(prompt),
        answer=answer,
        js=float(measured.js[index]),
        tokens=tuple(zip(texts, measured.tokens[index], strict=True)),
    )


def _change(model: Model, token: int, measured: PromptDivergences) -> TokenChange:
    return TokenChange(
        token=model.tokenizer.decode([token]),
        base=float(measured.before[token]),
        tuned=float(measured.after[token]),
    )
