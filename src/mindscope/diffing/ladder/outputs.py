"""What a reader of both models' answers sees: words and style that differ, without a look inside.

The baseline that every look inside is measured against (simple baselines are reported to be competitive for
model diffing). Words are compared by whether an answer holds them, pair by pair, with McNemar's exact test;
numbers of style by sign flips. The lists hold what passes Benjamini and Hochberg's procedure.
"""

import re
from collections.abc import Callable, Sequence

import numpy as np
import torch

from mindscope.diffing.config import DiffConfig
from mindscope.diffing.results import OutputsReading, StyleChange, TermChange
from mindscope.diffing.terms import split_words, word_presence
from mindscope.stats import Estimate, adjust_p_values, bootstrap_interval, sign_flip_test, sign_test

LEAST_SHARE = 0.03
"""Words in fewer answers cannot reach significance and would only make the correction harder."""

_SENTENCE = re.compile(r"[^.!?。！？]+[.!?。！？]*")
_FIRST_PERSON = frozenset({"i", "me", "my", "mine", "myself", "we", "our", "us"})


def _share(words: Sequence[str], chosen: Callable[[str], bool]) -> float:
    return 100 * sum(map(chosen, words)) / len(words) if words else 0.0


STYLE: dict[str, Callable[[str], float]] = {
    "words": lambda text: float(len(split_words(text))),
    "sentences": lambda text: float(len(_SENTENCE.findall(text))),
    "letters a word": lambda text: float(np.mean([len(word) for word in split_words(text)] or [0])),
    "different words, %": lambda text: 100 * len(set(split_words(text))) / max(1, len(split_words(text))),
    "numbers, % of words": lambda text: _share(split_words(text), str.isdigit),
    "first person, % of words": lambda text: _share(split_words(text), _FIRST_PERSON.__contains__),
    "question marks": lambda text: float(len(re.findall("[?？]", text))),
    "exclamation marks": lambda text: float(len(re.findall("[!！]", text))),
    "lines": lambda text: float(len(text.splitlines())),
    "capitals, % of letters": lambda text: _share([c for c in text if c.isalpha()], str.isupper),
}
"""Numbers of an answer's form."""


def read_outputs(base: Sequence[str], tuned: Sequence[str], config: DiffConfig) -> OutputsReading:
    """Words and style that differ between answers to the same prompts.

    Args:
        base, tuned: an answer a prompt, in the same order.
        config: the false-discovery rate and the length of the lists.
    """
    return OutputsReading(
        n_prompts=len(base),
        more=find_words(base, tuned, config),
        less=tuple(
            change.model_copy(update={"base": change.tuned, "tuned": change.base})
            for change in find_words(tuned, base, config)
        ),
        style=_style(base, tuned, config),
    )


def find_words(base: Sequence[str], tuned: Sequence[str], config: DiffConfig) -> tuple[TermChange, ...]:
    """Words that more of the tuned model's answers hold, the largest difference first."""
    least = max(3, round(LEAST_SHARE * len(base)))
    words, present = word_presence([*base, *tuned], least)
    if not words:
        return ()
    before, after = present[: len(base)], present[len(base) :]
    q_values = adjust_p_values(sign_test(((after > before).sum(0)), ((after < before).sum(0))))
    gain = after.mean(0) - before.mean(0)
    order = np.argsort(-gain, kind="stable").tolist()
    passed = [i for i in order if q_values[i] <= config.false_discovery_rate]
    return tuple(
        TermChange(
            term=words[i],
            base=float(before[:, i].mean()),
            tuned=float(after[:, i].mean()),
            q=float(q_values[i]),
        )
        for i in passed[: config.n_terms]
    )


def _style(base: Sequence[str], tuned: Sequence[str], config: DiffConfig) -> tuple[StyleChange, ...]:
    before, after = (
        np.array([[measure(text) for measure in STYLE.values()] for text in texts]) for texts in (base, tuned)
    )
    change = after - before
    # Two-sided: the smaller of the two one-sided p-values, doubled.
    p_values = 2 * np.minimum(sign_flip_test(change, config.seed), sign_flip_test(-change, config.seed))
    q_values = adjust_p_values(p_values.clip(max=1.0))
    changes: list[StyleChange] = []
    for column, name in enumerate(STYLE):
        low, high = bootstrap_interval(
            torch.from_numpy(change[:, column]), resamples=config.resamples, seed=config.seed
        )
        changes.append(
            StyleChange(
                name=name,
                base=float(before[:, column].mean()),
                tuned=float(after[:, column].mean()),
                difference=Estimate(mean=float(change[:, column].mean()), low=low, high=high),
                q=float(q_values[column]),
            )
        )
    return tuple(changes)
