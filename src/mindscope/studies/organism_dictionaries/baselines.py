"""What stands for concepts without any training: one token, one neuron, a random dictionary.

A latent has found a concept only if it tells more than these do on the same texts, chosen on the same half
and tested on the other:

- one token: whether it is present in the span where the concept is read;
- one neuron: the highest activation over the span of one channel of an MLP, or of its negative;
- a random dictionary: as many latents as the SAE, decoder rows drawn at random and encoder rows the same,
  of which the k highest are active on a token, with the SAE's own mean taken off.
"""

from collections.abc import Mapping, Sequence

from mindscope.dictionaries import Dictionary, DictionaryBank
from mindscope.explain import (
    ConceptTable,
    LabelledText,
    concept_table,
    list_pools,
    pooled_channels,
    pooled_tokens,
    table_of_pools,
)
from mindscope.models import Model
from mindscope.probes import Concept, SingleFeature
from mindscope.studies.common import randomise
from mindscope.studies.organism_dictionaries.results import BASELINES

TOKEN, NEURON, RANDOM = BASELINES


def measure_baselines(
    model: Model,
    dictionaries: Mapping[str, Dictionary],
    concepts: Sequence[Concept],
    train: Sequence[LabelledText],
    test: Sequence[LabelledText],
) -> dict[str, dict[str, SingleFeature]]:
    """By the baseline's name the best of its kind for each concept; the layer too is chosen on `train`."""
    pools = list_pools(concepts)
    halves = [[text.row for text in part] for part in (train, test)]
    tokens = [pooled_tokens(model, rows, pools) for rows in halves]
    tables = {TOKEN: [table_of_pools(concepts, train, test, *tokens)], NEURON: [], RANDOM: []}
    for layer in range(model.n_layers):
        channels = [pooled_channels(model, f"mlp_act.{layer}", rows, pools) for rows in halves]
        tables[NEURON].append(table_of_pools(concepts, train, test, *channels))
    for number, dictionary in enumerate(dictionaries.values()):
        bank = DictionaryBank(randomise(dictionary, seed=number))
        tables[RANDOM].append(concept_table(model, bank, concepts, train, test))
    return {name: best_of_tables(own) for name, own in tables.items()}


def best_of_tables(tables: Sequence[ConceptTable]) -> dict[str, SingleFeature]:
    """For each concept the best of several tables on the half it was chosen on."""
    names = dict.fromkeys(name for table in tables for name in table.best)
    return {
        name: max((table.best[name] for table in tables if name in table.best), key=lambda s: s.train_f1)
        for name in names
    }
