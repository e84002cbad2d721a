"""What labelled texts say of a dictionary: probes, perturbation, absorption, correlations taken out.

1. Each measure once, with the seed of the evaluation: its tables by k, n and class.
2. The same with more seeds, for the spread that its draws of texts have (see `reseeds`).
"""

from collections.abc import Sequence

from mindscope.dictionaries.dictionary import Dictionary
from mindscope.dictionaries.evaluation.ablation import perturb_probes, remove_correlation
from mindscope.dictionaries.evaluation.absorption import measure_absorption
from mindscope.dictionaries.evaluation.config import EvaluateConfig
from mindscope.dictionaries.evaluation.pooled import PooledActivations
from mindscope.dictionaries.evaluation.probing import ProbingScores, k_sparse
from mindscope.dictionaries.evaluation.reseeds import measure_reseeded
from mindscope.dictionaries.evaluation.results import LabelledMeasures
from mindscope.errors import DataError

SHOWN = 10
"""How many latents are ablated for the TPP and SCR of the table, and of the draws."""


def measure_labelled(
    dictionary: Dictionary,
    mean: PooledActivations,
    last: PooledActivations,
    labels: Sequence[str],
    flags: Sequence[bool | None],
    config: EvaluateConfig,
) -> LabelledMeasures:
    """All measures on labelled texts.

    Args:
        dictionary: the dictionary.
        mean, last: its latents and what it reads in each text, the mean over tokens and at the last.
        labels: of each text.
        flags: whether a text shows the concept that comes with the label by chance; None where nobody says.
        config: the seed, and how many draws.
    """
    seed, seeds = config.seed, range(config.seed, config.seed + config.reseeds)

    def probe(drawn: int) -> dict[str, float]:
        return probe_values(k_sparse(mean, labels, seed=drawn))

    probing = k_sparse(mean, labels, seed=seed)
    if reason := _why_not_ablated(dictionary):
        left_out = dict.fromkeys(("TPP", "absorption", "SCR"), reason)
        return LabelledMeasures(probing, left_out=left_out, reseeds=measure_reseeded(probe, seeds))
    decoder = dictionary.coder.W_dec.detach().float().cpu().numpy()
    left_out: dict[str, str] = {}
    removal = None
    names = sorted(set(labels))
    shown, spurious = [label == names[-1] for label in labels], [bool(flag) for flag in flags]
    if any(flag is None for flag in flags):
        left_out["SCR"] = "the texts do not say which concept comes with the label by chance"
    elif len(names) != 2:
        left_out["SCR"] = f"it needs two labels, there are {len(names)}"
    else:
        try:
            removal = remove_correlation(mean, decoder, shown, spurious, seed=seed)
        except DataError as error:
            left_out["SCR"] = str(error)

    def measure(drawn: int) -> dict[str, float | None]:
        perturbed = perturb_probes(mean, decoder, labels, seed=drawn, ns=(SHOWN,))
        values: dict[str, float | None] = {
            **probe(drawn),
            f"TPP n={SHOWN}": perturbed.score[SHOWN],
            "absorption": measure_absorption(last, decoder, labels, seed=drawn).fraction,
        }
        if removal is not None:
            removed = remove_correlation(mean, decoder, shown, spurious, seed=drawn, ns=(SHOWN,))
            values[f"SCR n={SHOWN}"] = removed.score[SHOWN]
        return values

    return LabelledMeasures(
        probing,
        perturb_probes(mean, decoder, labels, seed=seed),
        measure_absorption(last, decoder, labels, seed=seed),
        removal,
        left_out,
        measure_reseeded(measure, seeds),
    )


def probe_values(scores: ProbingScores) -> dict[str, float]:
    """The scores of probes on latents, by the name they have in the table."""
    return {
        **{f"probe k={k}": value for k, value in scores.latents.items()},
        **{f"probe AUC k={k}": value for k, value in scores.auc.items()},
    }


def _why_not_ablated(dictionary: Dictionary) -> str:
    """Why measures that ablate latents at one site cannot be; empty where they can."""
    if len(dictionary.wiring) > 1 or len(dictionary.writes) > 1:
        return "it writes several sites, on which one probe cannot be"
    if dictionary.normalisation is not None:
        return "it normalises every token, so that what a latent writes has no length of its own"
    return ""
