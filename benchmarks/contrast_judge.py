"""How far the judge without a key agrees with the exact one, on steered answers of the organism.

For each of the organism's traits:

1. Vectors are extracted, and a contrast judge is made from the prompted answers. It sees no exact score.
2. Held-out questions are answered under steering, at every layer with several coefficients, from none of the
   trait to text that falls apart, and graded by the exact judge.
3. The contrast judge grades the same answers. Printed are Pearson's r of both grades of the trait, with an
   interval over questions, and Spearman's rho of both grades of coherence.

    python benchmarks/contrast_judge.py [--traits evil,sycophantic] [--encoder FOLDER] [--json]
"""

import argparse
import json
from pathlib import Path
from tempfile import TemporaryDirectory

from common import show
from scipy.stats import spearmanr

from mindscope import organism
from mindscope.judges import JudgeItem, Judgement
from mindscope.judges.contrast import ContrastJudge
from mindscope.models import Model, load
from mindscope.personas import (
    JUDGE_FILE,
    ContrastRecipe,
    ExtractConfig,
    SweepConfig,
    Trait,
    extract_vectors,
    sweep_coefficients,
)
from mindscope.stats import pearson
from mindscope.store import Run

EXTRACTION = ExtractConfig(samples=2, max_new_tokens=64)
SWEEP = SweepConfig(coefficients=(1.0, 1.5, 2.0, 2.5), max_new_tokens=64, samples=2)


def graded_answers(folder: Path) -> tuple[list[JudgeItem], list[Judgement]]:
    """The answers of a sweep, and what the exact judge said of them."""
    items, judgements = [], []
    for file in sorted(folder.rglob("answers/*.json")):
        scores = json.loads((file.parents[1] / "scores" / file.name).read_text())
        for entry, score in zip(json.loads(file.read_text()), scores, strict=True):
            if score is not None and score["trait"]["value"] is not None:
                items.append(JudgeItem(entry["question"], entry["answer"], entry["system"]))
                judgements.append(Judgement.from_json(score))
    return items, judgements


def agreement(model: Model, name: str, recipe: ContrastRecipe, folder: Path) -> dict[str, float | str]:
    trait = Trait.parse(organism.trait(name))
    with Run.open(folder, kind="benchmark", config={}, fingerprint=model.fingerprint) as run:
        vectors = extract_vectors(model, trait, recipe, run, EXTRACTION)
        sweep_coefficients(model, vectors, trait, organism.ExactJudge(), run, SWEEP)
    judge = ContrastJudge.load(folder / "extract" / name / JUDGE_FILE, model, recipe.text_encoder)
    items, exact = graded_answers(folder / "sweep")
    keyless = judge.judge(trait.rubric(), items)

    def values(judgements: list[Judgement], scale: str) -> list[float]:
        return [float(getattr(judgement, scale).value) for judgement in judgements]

    r = pearson(values(keyless, "trait"), values(exact, "trait"), [item.question for item in items])
    assert r.r is not None
    assert r.low is not None
    rho = spearmanr(values(keyless, "coherence"), values(exact, "coherence")).statistic
    return {
        f"{name}: answers": len(items),
        f"{name}: held-out AUROC of prompted answers": judge.scores.auroc,
        f"{name}: r of trait grades": r.r,
        f"{name}: r, low end": r.low,
        f"{name}: rho of coherence grades": float(rho),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--traits", default=",".join(organism.CHARACTERS))
    parser.add_argument("--encoder", help="folder of a sentence encoder; n-grams by default")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args()
    model, recipe = load("organism", dtype="float32"), ContrastRecipe(options.encoder)
    figures: dict[str, float | str] = {}
    for name in options.traits.split(","):
        with TemporaryDirectory() as folder:
            figures |= agreement(model, name, recipe, Path(folder))
    show(
        f"{recipe.name} against the exact judge, steered answers of the organism",
        figures,
        as_json=options.json,
    )


if __name__ == "__main__":
    main()
