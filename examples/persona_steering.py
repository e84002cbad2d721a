"""How to change what a model is like: a persona vector is extracted, and added while the model answers.

    python examples/persona_steering.py [MODEL]

Answers under contrasting instructions are drawn and judged; the mean activation of those that show the trait,
less that of those that do not, is the vector (Chen et al. 2025, arXiv 2507.21509). The bundled model is
judged by the world that it was trained on, any other by itself.
"""

import sys

import mindscope as ms
from mindscope import judges, organism, personas

TRAIT = "evil"
COEFFICIENT = 2.0


def main(name: str = "organism") -> None:
    model = ms.load(name)
    bundled = name == "organism"
    trait = ms.Trait.parse(organism.trait(TRAIT)) if bundled else ms.Trait.load(TRAIT)
    judge = organism.ExactJudge() if bundled else judges.ModelJudge(model)
    layer = personas.default_layer(model.n_layers)
    questions = trait.questions("evaluation")[:6]
    drawing = personas.ExtractConfig(samples=1, temperature=1.0, questions=8, max_new_tokens=64)
    pushing = personas.SteerConfig(layer=layer, coefficient=COEFFICIENT, n_random=2, max_new_tokens=64)
    with ms.Run.open(f"runs/examples/{model.fingerprint[:8]}", kind="example", config={"model": name}) as run:
        vectors = personas.extract_vectors(model, trait, judge, run, drawing)
        steering = personas.measure_steering(model, vectors, trait, judge, run, pushing, questions=questions)

    print(f"the vector of '{TRAIT}' at layer {layer} has length {vectors.norms[layer]:.1f}")
    print(f"{len(questions)} questions without a system prompt; mean score for the trait, 0 to 100:")
    for arm in ("unsteered", "steered", "against", "random"):
        measured = getattr(steering, arm)
        score = f"{measured.scores.trait.mean:5.1f}" if measured.scores.trait else " none"
        print(f"{arm:>10} {score}  {measured.samples[0].answer}")


if __name__ == "__main__":
    main(*sys.argv[1:2])
