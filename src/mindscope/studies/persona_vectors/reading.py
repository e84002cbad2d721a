"""What a persona vector is made of: its nearest dictionary features, and steering by the best of them."""

from mindscope.dictionaries import DictionaryBank
from mindscope.explain import best_latent, feature_logits, read_direction
from mindscope.models import Model
from mindscope.store import Document
from mindscope.studies.persona_vectors.answering import AnswerSampling, TraitLevel, levels
from mindscope.studies.persona_vectors.benches.bench import PreparedTrait, StudyBench

SHOWN = 5
"""Features of each vector."""


class NearLatent(Document):
    """A latent whose decoder points the vector's way, or against it."""

    latent: int
    cosine: float
    raises: tuple[str, ...]
    """The tokens whose logits it raises most."""


class DictionaryReading(Document):
    """One trait's vector in a dictionary of its layer; no features where there is no dictionary."""

    trait: str
    layer: int
    coefficient: float
    features: tuple[NearLatent, ...]
    levels: dict[str, TraitLevel]
    """Of answers without a system prompt: steered by nothing, by the vector, by the nearest feature in the
    vector's place, at the vector's norm and the same coefficient."""


def read_vector(
    model: Model, ready: PreparedTrait, bench: StudyBench, asking: AnswerSampling
) -> DictionaryReading:
    """Decoder cosines of a trait's vector, and what its nearest feature does in its place.

    After Chen et al. 2025, arXiv 2507.21509, appendix on sparse autoencoders.
    """
    point = ready.sweep.choice()
    dictionary = bench.dictionary(model, ready.layer)
    nearest: list[NearLatent] = []
    shown: dict[str, TraitLevel] = {}
    if dictionary is not None:
        features, direction = DictionaryBank(dictionary), ready.direction
        near = read_direction(features, direction, SHOWN)
        effects = feature_logits(model, features, [neighbour.feature for neighbour in near], SHOWN)
        nearest = [
            NearLatent(
                latent=neighbour.feature,
                cosine=neighbour.cosine,
                raises=tuple(model.decode([effect.token]) for effect in raised.top),
            )
            for neighbour, raised in zip(near, effects, strict=True)
        ]
        _, replacement = best_latent(features, direction)
        edits = {
            "nothing": (),
            "the vector": (direction.edit(point.coefficient, where="response"),),
            "the nearest feature": (replacement.edit(point.coefficient, where="response"),),
        }
        shown = {name: levels(model, [ready], asking, edit)[ready.trait.name] for name, edit in edits.items()}
    return DictionaryReading(
        trait=ready.trait.name,
        layer=ready.layer,
        coefficient=point.coefficient,
        features=tuple(nearest),
        levels=shown,
    )
