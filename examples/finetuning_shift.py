"""What has changed: how far fine-tuning moved a model along a persona vector, and tuning that moves it less.

    python examples/finetuning_shift.py [MODEL]

A model is tuned twice on answers of an evil assistant: as usual, and while the vector is added at every
layer, so that it need not learn to move there itself (preventative steering, Chen et al. 2025, arXiv
2507.21509). The shift is that of the last prompt token's mean activation. It needs 'mindscope[train]'.
"""

import sys

import mindscope as ms
from mindscope import finetuning, judges, organism, personas

TRAIT = "evil"


def main(name: str = "organism") -> None:
    model = ms.load(name)
    bundled = name == "organism"
    trait = ms.Trait.parse(organism.trait(TRAIT)) if bundled else ms.Trait.load(TRAIT)
    judge = organism.ExactJudge() if bundled else judges.ModelJudge(model)
    layer = personas.default_layer(model.n_layers)
    data = organism.training_set(TRAIT, "II", 160)
    drawing = personas.ExtractConfig(samples=1, temperature=1.0, questions=8, max_new_tokens=64)
    learning = finetuning.FinetuneConfig(learning_rate=1e-3, batch_rows=16, accumulation=1)
    preventing = learning.model_copy(
        update={"interventions": (finetuning.PreventativeSteering(trait=TRAIT),)}
    )
    with ms.Run.open(f"runs/examples/{model.fingerprint[:8]}", kind="example", config={"model": name}) as run:
        vectors = personas.extract_vectors(model, trait, judge, run, drawing)
        usual = finetuning.finetune_model(name, data, run, learning, name="usual")
        prevented = finetuning.finetune_model(
            name, data, run, preventing, vectors=[vectors], name="prevented"
        )

    questions = trait.questions("evaluation")[:10]
    shift = personas.measure_shift(model, [usual.path, prevented.path], vectors, questions)
    prompt = model.chat([{"role": "user", "content": questions[0]}])
    print(
        f"{len(data)} answers of the trait, and the shift along '{TRAIT}' at layer {layer}, with its interval"
    )
    for checkpoint, (label, tuned) in enumerate((("as usual", usual), ("preventing", prevented))):
        moved = shift.of(TRAIT, layer, checkpoint=checkpoint)
        (answer,) = ms.load(tuned.path).generate([prompt], ms.Sampling(max_new_tokens=64))
        print(f"tuned {label}: {moved.shift:+.1f} ({moved.low:+.1f} to {moved.high:+.1f})  {answer.text}")


if __name__ == "__main__":
    main(*sys.argv[1:2])
