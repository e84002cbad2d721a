"""What is hidden: a step that a model takes without saying so is found in attribution graphs, and exchanged.

    python examples/attribution_graph.py [MODEL]

To know the flower of a city's state, a model must think of the state. Its MLPs are replaced by transcoders
(another model's by its own neurons), and a graph says what led to the answer (Ameisen et al. 2025, "Circuit
Tracing"). What is on in early layers at the last token, whatever else is asked about a city, stands for its
state: put in the place of another city's, it should change the answer to the other state's flower.
"""

import sys

import mindscope as ms
from mindscope import circuits, organism

EARLY = 2  # features of so many first layers are exchanged: before the answer is looked up


def main(name: str = "organism") -> None:
    model = ms.load(name, dtype="float32")
    here, there = ("Renton", "Tavton") if name == "organism" else ("Dallas", "Oakland")
    replacement: circuits.ReplacementModel = circuits.NeuronReplacement(model)
    if name == "organism":
        transcoders = ms.Dictionary.load(organism.dictionary_path("transcoders"), model)
        replacement = circuits.DictionaryReplacement(transcoders)

    def trace(relation: str, city: str) -> ms.AttributionGraph:
        return ms.trace(model, replacement, f"the {relation} of the state of {city} is")

    def read_early(relation: str, city: str) -> dict[tuple[int, int], float]:
        """What is on in early layers at the last token: activations by (layer, latent)."""
        graph = trace(relation, city)
        chosen = (graph.features[:, 1] == graph.n_positions - 1) & (graph.features[:, 0] < EARLY)
        pairs = zip(graph.features[chosen].tolist(), graph.activations[chosen].tolist(), strict=True)
        return {(layer, latent): activation for (layer, _, latent), activation in pairs}

    def find_state(city: str) -> list[circuits.ActiveFeature]:
        """What is on whichever of two other things is asked about the city's state."""
        bird, river = read_early("bird", city), read_early("river", city)
        shared = [(layer, latent, bird[layer, latent]) for layer, latent in bird.keys() & river.keys()]
        return [
            circuits.ActiveFeature(layer, "last_prompt", latent, value) for layer, latent, value in shared
        ]

    graph = trace("flower", here)
    pruned = circuits.prune_graph(graph)
    effects = circuits.compute_feature_effects(model, replacement, graph.features)
    print(f"{len(pruned.nodes)} of {graph.n_nodes} nodes carry most influence; the strongest features:")
    for node in pruned.influence[: graph.n_features].topk(6).indices.tolist():
        says = " ".join(model.decode([token]) for token in effects[node].topk(6).indices.tolist())
        print(f"{pruned.influence[node]:7.3f}  {graph.id(node):>10}  says: {says}")

    exchanged = circuits.swap_features(find_state(here), find_state(there))
    for label, changes in ((here, []), (f"{here}, with the state of {there}", exchanged)):
        logits = circuits.intervene(model, replacement, ms.Row(graph.ids, len(graph.ids)), changes).logits
        print(f"the flower of the state of {label}: {model.decode([int(logits.argmax())])}")
    print("the graph:", circuits.build_graph_page(graph, pruned).write("runs/examples/attribution.html"))


if __name__ == "__main__":
    main(*sys.argv[1:2])
