"""Features active in one sentence in three languages, block by block.

1. A sentence is a relation and a word of it, "the capital of France is", wholly in one language.
2. A feature is active in it if it is on any of its tokens but outliers.
3. Of each pair of languages the overlap is |A and B| / |A or B|.
4. The null pairs it with the next sentence of the same relation, in the other language: forms are alike, and
   only the word differs.

Lindsey et al. 2025, "On the Biology of a Large Language Model", section on multilingual circuits, compare
so with paragraphs that have nothing to do with one another; sentences of one form are the stricter null.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from jaxtyping import Bool
from torch import Tensor

from mindscope.dictionaries import Dictionary, DictionaryBank
from mindscope.explain import pooled_features
from mindscope.features import OutlierLimits, read_activations
from mindscope.models import Model, Row
from mindscope.organism import LANGUAGES
from mindscope.organism.mechanisms.languages import RELATIONS, STATEMENTS, TRANSLATION, answers_of
from mindscope.studies.common import PieceProgress
from mindscope.studies.shared_space.results import LayerOverlap


@dataclass(frozen=True)
class TripleSentence:
    """A sentence in the three languages."""

    relation: str
    concept: tuple[str, ...]

    def texts(self) -> list[str]:
        """In English, French and Chinese."""
        return [STATEMENTS[self.relation][i].format(word=self.concept[i]) for i in range(len(LANGUAGES))]


def draw_sentences(count: int, seed: int) -> list[TripleSentence]:
    """Sentences of all relations but translation, each relation's together, two at least of each."""
    rng = random.Random(f"shared-space-{seed}")
    relations = [relation for relation in RELATIONS if relation != TRANSLATION]
    each = max(2, count // len(relations))
    sentences: list[TripleSentence] = []
    for relation in relations:
        own = _told_apart(relation)
        sentences += [TripleSentence(relation, c) for c in rng.sample(own, min(each, len(own)))]
    return sentences


def _told_apart(relation: str) -> list[tuple[str, ...]]:
    # A word that is spelt alike in two languages would be shared for its letters.
    return [concept for concept in answers_of(relation) if len(set(concept)) == len(LANGUAGES)]


def measure_overlap(
    model: Model,
    dictionaries: Mapping[int, Dictionary],
    sentences: Sequence[TripleSentence],
    progress: PieceProgress,
) -> LayerOverlap:
    """The overlap at every block that has a dictionary."""
    by_language = zip(*(sentence.texts() for sentence in sentences), strict=True)
    rows = [[model.text(text) for text in texts] for texts in by_language]
    following = list_others(sentences)
    same, other, explained = [], [], []
    for number, dictionary in enumerate(dictionaries.values()):
        bank = DictionaryBank(dictionary)
        active = [pooled_features(model, bank, part)["all", ""] > 0 for part in rows]
        pairs = list(combinations(active, 2))
        same.append(_mean([overlap(a, b) for a, b in pairs]))
        other.append(_mean([overlap(a, b[following]) for a, b in pairs]))
        explained.append(_explained(model, dictionary, rows[0]))
        progress(number + 1, len(dictionaries))
    return LayerOverlap(same=tuple(same), other=tuple(other), explained=tuple(explained))


def list_others(sentences: Sequence[TripleSentence]) -> list[int]:
    """Of each sentence the place of the next one of its relation; of the last one that of the first."""
    places: dict[str, list[int]] = {}
    for place, sentence in enumerate(sentences):
        places.setdefault(sentence.relation, []).append(place)
    following = list(range(len(sentences)))
    for own in places.values():
        for place, after in zip(own, own[1:] + own[:1], strict=True):
            following[place] = after
    return following


def overlap(a: Bool[Tensor, "rows features"], b: Bool[Tensor, "rows features"]) -> Tensor:
    """Intersection over union of each row; 0 where nothing is active."""
    union = (a | b).sum(1)
    return (a & b).sum(1) / union.clamp(min=1)


def _mean(values: Sequence[Tensor]) -> tuple[float, ...]:
    return tuple(torch.stack(list(values)).float().mean(0).tolist())


def _explained(model: Model, dictionary: Dictionary, rows: Sequence[Row]) -> float:
    activations = read_activations(dictionary.reads, DictionaryBank(dictionary).models, model, rows).float()
    limits = OutlierLimits.measured(activations, dictionary.reads)
    kept = activations[limits.ordinary(activations, dictionary.reads)]
    error = kept - dictionary(kept)
    return 1 - float(error.square().sum() / (kept - kept.mean(0)).square().sum())
