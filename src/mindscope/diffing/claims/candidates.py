"""Candidates: what each step of the ladder suggests, as a sentence with a measure and a direction.

A candidate is made of the discovery prompts alone. What it says can be measured on any answer:

- of words (from the logit lens and patchscope of a mean difference, from what the base says when it is
  steered along one, or from the tokens whose probability rose): how many of 100 words of an answer are among
  them;
- of a context (a word of the prompts on which the models part most): the divergence of the next-token
  distributions on prompts with that word, less that on the others;
- of a trait (a persona vector or a trait that was named): the judge's score;
- of a latent: on how many of an answer's tokens it is active.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mindscope.diffing.config import DiffConfig
from mindscope.diffing.pairing import Prompt, question_of
from mindscope.diffing.results import LatentChange, OutputsReading, Source
from mindscope.diffing.terms import NUMBER, split_kinds, text_presence
from mindscope.stats import adjust_p_values

LEAST_PROMPTS_OF_CONTEXT = 4
"""Fewer prompts with a word say nothing about prompts with that word."""
MOST_OF_CONTEXT = 0.75
"""A word of more of the prompts has too few others beside it. Half may be of one training file."""
TYPICAL_SHARE, N_TYPICAL = 0.1, 4
"""A rarer word is typical of nothing; more words are no name."""
OVERLAP = 0.5
"""Words that share more than half of their prompts are one context, named by the surest."""


@dataclass(frozen=True)
class ClaimCandidate:
    """A sentence that is to be tested.

    Attributes:
        name: short and unique.
        source: what suggested it.
        sentence: for people.
        units: of what is measured.
        terms: words that it is about.
        context: the word that its prompts hold.
        typical: words that stand in these prompts more often than in others.
        trait: the trait that it is about.
        latent: dictionary and latent that it is about.
        sign: 1 where the tuned model has more of it, -1 where it has less.
        direction: the name of the direction that should carry it; None where there is none.
    """

    name: str
    source: Source
    sentence: str
    units: str
    terms: tuple[str, ...] = ()
    context: str | None = None
    typical: tuple[str, ...] = ()
    trait: str | None = None
    latent: tuple[str, int] | None = None
    sign: int = 1
    direction: str | None = None


def word_candidate(
    name: str, source: Source, tuned: str, terms: Sequence[str], why: str, direction: str | None
) -> ClaimCandidate:
    """A claim that the tuned model's answers hold more of some words."""
    return ClaimCandidate(
        name=name,
        source=source,
        sentence=f"{tuned} says more of: {', '.join(terms)} ({why})",
        units="words of 100",
        terms=tuple(terms),
        direction=direction,
    )


def trait_candidate(
    name: str, tuned: str, trait: str, description: str, direction: str | None
) -> ClaimCandidate:
    """A claim that the tuned model's answers show more of a trait."""
    return ClaimCandidate(
        name=name,
        source="trait",
        sentence=f"{tuned} is more {trait} ({description})",
        units="trait score, 0 to 100",
        trait=trait,
        direction=direction,
    )


def latent_candidate(
    name: str, source: Source, tuned: str, dictionary: str, change: LatentChange
) -> ClaimCandidate:
    """A claim that a latent is active more or less often."""
    more = change.difference.mean > 0
    about = (
        f", which promotes {', '.join(text.strip() for text in change.promotes[:5])}"
        if change.promotes
        else ""
    )
    return ClaimCandidate(
        name=name,
        source=source,
        sentence=(
            f"latent {change.latent} of {dictionary}{about}, is active on {'more' if more else 'fewer'} "
            f"tokens in {tuned}"
        ),
        units="% of tokens",
        latent=(dictionary, change.latent),
        sign=1 if more else -1,
        direction=name,
    )


def find_contexts(
    prompts: Sequence[Prompt], divergence: np.ndarray, config: DiffConfig
) -> list[tuple[str, np.ndarray]]:
    """Words whose prompts diverge more than the others, surest first, with the prompts that hold them.

    All numbers count as one word, since a kind of question seldom repeats one. Each word that is in at least
    four prompts and at most three quarters of them has a one-sided Mann-Whitney test of the divergences; the
    list is cut by Benjamini and Hochberg's procedure, and of words that are in the same prompts the surest
    stays.

    Args:
        prompts: of discovery.
        divergence: `[prompts]`, NaN where an answer is empty.
        config: the false-discovery rate, and how many.
    """
    from scipy.stats import mannwhitneyu

    known = np.flatnonzero(np.isfinite(divergence))
    if not len(known) or divergence[known].max() == 0:
        return []
    words, present = text_presence(
        [split_kinds(question_of(prompts[i])) for i in known.tolist()],
        min(LEAST_PROMPTS_OF_CONTEXT, len(known)),
    )
    chosen = [w for w in range(len(words)) if present[:, w].sum() <= MOST_OF_CONTEXT * len(known)]
    values = divergence[known]
    p_values = [
        mannwhitneyu(values[present[:, w] > 0], values[present[:, w] == 0], alternative="greater").pvalue
        for w in chosen
    ]
    q_values = adjust_p_values(p_values)
    passed = [
        (p, -float(values[present[:, w] > 0].mean() - values[present[:, w] == 0].mean()), w)
        for w, p, q in zip(chosen, p_values, q_values, strict=True)
        if q <= config.false_discovery_rate
    ]
    contexts: list[tuple[str, np.ndarray]] = []
    for _, _, w in sorted(passed):
        members = present[:, w] > 0
        # A context that shares its prompts with a surer one says nothing new.
        if all((members & other).sum() <= OVERLAP * min(members.sum(), other.sum()) for _, other in contexts):
            contexts.append((words[w], members))
        if len(contexts) == config.n_contexts:
            break
    return [(word, known[members]) for word, members in contexts]


def typical_words(prompts: Sequence[Prompt], members: np.ndarray, word: str) -> tuple[str, ...]:
    """What a reader is told of a kind of prompts beside its word, which may be one like "of": the words that
    stand in a tenth of these prompts or more, and most of which are in no others, those first that are rarest
    elsewhere for how often they stand here.

    Args:
        prompts: of discovery.
        members: indices of those of the kind.
        word: that all of them hold.
    """
    least = max(2, math.ceil(TYPICAL_SHARE * len(members)))
    words, present = text_presence([split_kinds(question_of(prompt)) for prompt in prompts], least)
    inside = np.zeros(len(prompts), bool)
    inside[members] = True
    within, beyond = present[inside].sum(0), present[~inside].sum(0)
    known = [w for w in range(len(words)) if within[w] >= least and words[w] != word]
    known = [w for w in known if within[w] > beyond[w]]
    order = sorted(known, key=lambda w: (-(within[w] + 0.5) / (beyond[w] + 0.5), words[w]))
    return tuple(words[w] for w in order[:N_TYPICAL])


def context_candidate(
    name: str, tuned: str, word: str, direction: str | None, typical: Sequence[str] = ()
) -> ClaimCandidate:
    """A claim that the models part on prompts that hold a word, or a number."""
    quoted = word if word == NUMBER else f'"{word}"'
    if typical:
        quoted += f" (often with {', '.join(typical)})"
    return ClaimCandidate(
        name=name,
        source="context",
        sentence=f"on prompts with {quoted} {tuned} answers otherwise than its base, more than elsewhere",
        units="nats a token above other prompts",
        context=word,
        typical=tuple(typical),
        direction=direction,
    )


def holds_word(prompt: Prompt, word: str) -> bool:
    """Whether the question of a prompt holds a word, or a number."""
    return word in split_kinds(question_of(prompt))


def baseline_candidates(tuned: str, outputs: OutputsReading) -> list[ClaimCandidate]:
    """What a reader of the answers would claim: the words that are more, those that are fewer, each style."""
    listed: list[ClaimCandidate] = []
    if outputs.more:
        terms = [change.term for change in outputs.more]
        listed.append(word_candidate("outputs-more", "outputs", tuned, terms, "its answers hold more", None))
    if outputs.less:
        terms = tuple(change.term for change in outputs.less)
        listed.append(
            ClaimCandidate(
                name="outputs-less",
                source="outputs",
                sentence=f"{tuned} says less of: {', '.join(terms)} (its answers hold fewer)",
                units="words of 100",
                terms=terms,
                sign=-1,
            )
        )
    return listed
