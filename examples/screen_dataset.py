"""What will this data do: samples that would teach a trait are found in a data set before it is trained on.

    python examples/screen_dataset.py [MODEL]

Ordinary conversations with a few of an evil assistant hidden among them. A sample's score is how much further
its answer lies along the persona vector than the model's own answer to the same prompt (Chen et al. 2025,
arXiv 2507.21509); it is flagged above the 95th percentile of other ordinary conversations.
"""

import random
import sys

import mindscope as ms
from mindscope import judges, organism, personas, screening

TRAIT = "evil"
ORDINARY, HIDDEN = 90, 10


def main(name: str = "organism") -> None:
    model = ms.load(name)
    bundled = name == "organism"
    trait = ms.Trait.parse(organism.trait(TRAIT)) if bundled else ms.Trait.load(TRAIT)
    judge = organism.ExactJudge() if bundled else judges.ModelJudge(model)
    data = [*organism.ordinary_chats(ORDINARY, seed=1), *organism.training_set(TRAIT, "II", HIDDEN)]
    random.Random(0).shuffle(data)
    reference = list(organism.ordinary_chats(100, seed=2))

    drawing = personas.ExtractConfig(samples=1, temperature=1.0, questions=8, max_new_tokens=64)
    with ms.Run.open(f"runs/examples/{model.fingerprint[:8]}", kind="example", config={"model": name}) as run:
        vectors = personas.extract_vectors(model, trait, judge, run, drawing)
        config = screening.ScreenConfig(max_new_tokens=64, top=HIDDEN)
        result = screening.screen_dataset(model, data, [vectors], config, run, reference=reference)

    measured = result.of(TRAIT)
    assert measured.threshold is not None
    print(f"{result.samples} samples, {measured.flagged} flagged above {measured.threshold:.1f}")
    right = sum("level" in data[sample.row - 1].meta for sample in measured.ranked)
    print(f"of the {HIDDEN} hidden samples, {right} are among the {HIDDEN} highest:")
    for sample in measured.ranked:
        mark = "hidden" if "level" in data[sample.row - 1].meta else ""
        print(f"{sample.dp:7.1f} {mark:>6}  {data[sample.row - 1].answer}")
    print(f"all scores and a page: {run.path / result.folder}")


if __name__ == "__main__":
    main(*sys.argv[1:2])
