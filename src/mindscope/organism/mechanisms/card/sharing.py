"""Do three languages share their concepts: answers to combinations never taught, and states that are alike.

The overlap compares a word's state in one language with its state in another, at the word itself, centred on
each language's mean; the null pairs it with every other word's. Words of one category may be near: the null
holds those too.
"""

import random
from collections.abc import Sequence

import torch
from torch.nn.functional import cosine_similarity

from mindscope.models import Model, Raw, Read
from mindscope.organism.mechanisms.card.asking import complete
from mindscope.organism.mechanisms.card.results import MechanismRow, ScaleRow
from mindscope.organism.mechanisms.facts import build_facts
from mindscope.organism.mechanisms.languages import (
    RELATIONS,
    STATEMENTS,
    TRANSLATION,
    language_cases,
)
from mindscope.organism.world import LANGUAGES
from mindscope.stats import RateEstimate

NAME = "languages"
PER_RELATION = 120


def measure_sharing(model: Model, rng: random.Random, per_relation: int = PER_RELATION) -> list[MechanismRow]:
    """Statements whose combination of relation, word and languages was never taught, completed greedily."""
    rows: list[MechanismRow] = []
    for relation in RELATIONS:
        if relation == TRANSLATION:
            continue
        kept = list(language_cases("test", relation))
        cases = rng.sample(kept, min(per_relation, len(kept)))
        prompts = [case.document(rng)[0] for case in cases]
        hits = [case.is_completed(text) for case, text in zip(cases, complete(model, prompts), strict=True)]
        rows.append(
            MechanismRow(
                mechanism=NAME,
                claim=f"{relation}: combinations never taught",
                rate=RateEstimate.of(hits, [case.concept[0] for case in cases]),
                bar=0.95,
            )
        )
    return rows


def measure_overlap(model: Model) -> list[ScaleRow]:
    """How alike a word's state is in two languages, at the middle block, beside other words' states."""
    address = f"resid_post.{model.n_layers // 2}"
    concepts = [c for c in build_facts().relations["opposite"] if len(set(c)) == len(LANGUAGES)]
    states = [_states(model, concepts, language, address) for language in range(len(LANGUAGES))]
    rows: list[ScaleRow] = []
    for a, b in ((0, 1), (0, 2), (1, 2)):
        table = cosine_similarity(states[a][:, None], states[b][None], dim=-1)
        same = table.diagonal().mean().item()
        n = len(concepts)
        others = (table.sum().item() - table.diagonal().sum().item()) / (n * n - n)
        best = (table.argmax(1) == torch.arange(n)).float().mean().item()
        pair = f"{LANGUAGES[a]} and {LANGUAGES[b]}"
        rows += [
            ScaleRow(mechanism=NAME, claim=f"cosine of the same word in {pair}", value=same, bar=0.5),
            ScaleRow(
                mechanism=NAME, claim=f"cosine of other words in {pair}", value=others, bar=0.1, most=True
            ),
            ScaleRow(mechanism=NAME, claim=f"the nearest word in {pair} is the same", value=best, bar=0.9),
        ]
    return rows


def _states(model: Model, concepts: Sequence[tuple[str, ...]], language: int, address: str) -> torch.Tensor:
    """A state for every word [words, width], centred, at the word behind "the opposite of"."""
    heads = [STATEMENTS["opposite"][0].partition("{word}")[0] + concept[language] for concept in concepts]
    rows = [model.text(head.strip()) for head in heads]
    reading = model.read(rows, {"at": Read(address, Raw("last_prompt"))})["at"]
    states = torch.stack([tokens[-1] for tokens in reading.values])
    return states - states.mean(0)
