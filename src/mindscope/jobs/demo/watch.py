"""A trait's vector at work on conversations: as a monitor, and as a screen of training data.

Beside the vector stand random directions of its norm at its layer. They are calibrated and scored in the same
pass, since any direction tells unlike texts apart to some degree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mindscope.jobs.demo.results import MonitoredSets, ScreenedSet

if TYPE_CHECKING:
    from mindscope.core import Progress
    from mindscope.features import Direction
    from mindscope.jobs.demo.conversations import DemoConversations
    from mindscope.jobs.demo.show_trait import TraitDemo
    from mindscope.jobs.demo.spec import DemoSpec
    from mindscope.models import Model
    from mindscope.monitoring import MonitoringResult
    from mindscope.personas import PersonaVectors
    from mindscope.store import Run

FALSE_ALARMS = 0.05
N_RANDOM = 20
"""Random directions: their median and their extremes are what is compared with."""


@dataclass(frozen=True)
class MonitoredDemo:
    """Alarms of a trait's vector, and of random directions.

    Attributes:
        counts: of the vector.
        threshold: of its signal, in the activations' units.
        peaks: the highest signal of every conversation, planted and ordinary.
        random_alarms: alarms on planted conversations, of each random direction.
        tokens: the planted conversation with the highest signal, token by token.
    """

    counts: MonitoredSets
    threshold: float
    peaks: dict[str, list[float]]
    random_alarms: tuple[int, ...]
    question: str
    tokens: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class ScreenedDemo:
    """How a trait's vector ranks planted rows, and how random directions do.

    Attributes:
        result: of the vector.
        random: the AUROC of each random direction.
        scores: dP of planted and ordinary rows.
        flagged: rows above the 95th percentile of the reference: planted ones, others.
    """

    result: ScreenedSet
    random: tuple[float, ...]
    scores: dict[str, list[float]]
    flagged: tuple[int, int]


def monitor_conversations(
    model: Model, item: TraitDemo, files: DemoConversations, spec: DemoSpec, run: Run, progress: Progress
) -> MonitoredDemo:
    """Calibrate on ordinary conversations, then watch planted and other ordinary ones."""
    from mindscope.features import FeatureSet, random_directions
    from mindscope.monitoring import Monitor, Policy, calibrate_on, conversations_of, monitor_file

    direction = item.vectors.direction(item.point.layer)
    features = FeatureSet([direction, *random_directions(direction, N_RANDOM, spec.seed)])
    calibration = calibrate_on(model, features, files.calibrating, run, FALSE_ALARMS, progress=progress)
    monitor = Monitor(features, calibration, Policy())
    key = features.keys[0]

    def watch(file: str) -> tuple[MonitoringResult, list[float]]:
        result = monitor_file(model, monitor, getattr(files, file), run, progress=progress)
        return result, [record.peaks[key] for record in conversations_of(run.path, result)]

    planted, planted_peaks = watch("planted")
    ordinary, ordinary_peaks = watch("ordinary")
    threshold = planted.features[0].threshold
    assert threshold is not None  # it was calibrated
    loudest = max(conversations_of(run.path, planted), key=lambda record: record.peaks[key])
    heat = next((heat for heat in loudest.heat if heat.feature == key), None)
    return MonitoredDemo(
        counts=MonitoredSets(
            planted=planted.conversations,
            planted_alarms=planted.features[0].alarms,
            ordinary=ordinary.conversations,
            ordinary_alarms=ordinary.features[0].alarms,
        ),
        threshold=threshold,
        peaks={"planted": planted_peaks, "ordinary": ordinary_peaks},
        random_alarms=tuple(feature.alarms for feature in planted.features[1:]),
        question=heat.question if heat else "",
        tokens=tuple(zip(heat.tokens, heat.values, strict=True)) if heat else (),
    )


def screen_conversations(
    model: Model, item: TraitDemo, files: DemoConversations, spec: DemoSpec, run: Run, progress: Progress
) -> ScreenedDemo:
    """Score every row by how far its answer lies along the vector beyond the prompt's last token."""
    from pyarrow import parquet
    from sklearn.metrics import roc_auc_score

    from mindscope.features import random_directions
    from mindscope.screening import ScreenConfig, screen_dataset

    layer, trait = item.point.layer, item.vectors.trait
    direction = item.vectors.direction(layer)
    controls = [
        _as_vectors(random, item.vectors, layer, f"random {index}")
        for index, random in enumerate(random_directions(direction, N_RANDOM, spec.seed))
    ]
    names = [trait, *(control.trait for control in controls)]
    config = ScreenConfig(form="prompt", layers=dict.fromkeys(names, layer), seed=spec.seed, top=0)
    result = screen_dataset(
        model, files.mixed, [item.vectors, *controls], config, run, progress, reference=files.calibrating
    )
    table = parquet.read_table(run.path / result.folder / "scores.parquet")
    scores = {name: table[f"{name}_dp"].to_pylist() for name in names}
    aurocs = [float(roc_auc_score(files.hidden, scores[name])) for name in names]
    flags = table[f"{trait}_flag"].to_pylist()
    split = {
        "planted": [s for s, hidden in zip(scores[trait], files.hidden, strict=True) if hidden],
        "ordinary": [s for s, hidden in zip(scores[trait], files.hidden, strict=True) if not hidden],
    }
    planted = sum(bool(flag) for flag, hidden in zip(flags, files.hidden, strict=True) if hidden)
    return ScreenedDemo(
        result=ScreenedSet(auroc=round(aurocs[0], 3)),
        random=tuple(aurocs[1:]),
        scores=split,
        flagged=(planted, sum(map(bool, flags)) - planted),
    )


def _as_vectors(direction: Direction, like: PersonaVectors, layer: int, name: str) -> PersonaVectors:
    """A direction at one layer in the place of a trait's vectors."""
    import torch

    from mindscope.personas import PersonaVectors

    matrix = torch.zeros(like.n_layers, like.d_model)
    matrix[layer] = direction.vector
    return PersonaVectors(name, like.fingerprint, {"answer_mean": matrix}, (layer,))
