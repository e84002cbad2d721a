"""Random directions beside what is watched: do its readings stand out, or those of any direction?"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.data import ConversationSource, Data
from mindscope.engines import Engine
from mindscope.errors import DataError, ModelError
from mindscope.features import Direction, FeatureSet, random_directions
from mindscope.models import Row, require_room, turn_rows
from mindscope.monitoring.config import Signal
from mindscope.monitoring.projections import TurnProjections, project_turns
from mindscope.stats import RandomControl, area_under_curve, place_among

CONVERSATIONS = 256
"""Of each file, from its beginning: enough that an AUROC is known to 0.04."""
TOGETHER = 32
"""Conversations whose readings along all random directions are in memory at a time."""
MEASURE = "AUROC of the highest signals against ordinary conversations"


def compare_random(
    model: Engine, features: FeatureSet, signal: Signal, ordinary: Data, data: Data, seed: int = 0
) -> dict[str, RandomControl]:
    """Each direction that is watched among random ones of its address, by feature.

    The measure is how often a conversation of the data has a higher signal, at its highest, than an ordinary
    one. The first conversations of both files are read once more for it. Features that are no directions have
    no place here.

    Args:
        model: of the features.
        features: what is watched.
        signal: what is held against thresholds.
        ordinary: the conversations of the calibration.
        data: the conversations that were watched.
        seed: of the random directions.
    """
    watched = {
        key: item for key, item in zip(features.keys, features, strict=True) if isinstance(item, Direction)
    }
    if not watched:
        return {}
    drawn: dict[str, tuple[Direction, ...]] = {}
    for item in watched.values():
        if item.address not in drawn:
            drawn[item.address] = tuple(
                replace(random, name=f"control {index}")  # no feature is called so
                for index, random in enumerate(random_directions(item, seed=seed))
            )
    wide = FeatureSet([*watched.values(), *(item for group in drawn.values() for item in group)])
    theirs, ours = (_peaks(model, wide, signal, conversations) for conversations in (ordinary, data))
    if len(theirs) < 2 or len(ours) < 2:
        return {}
    areas = area_under_curve(ours.numpy(), theirs.numpy())
    columns = {item: place for place, item in enumerate(wide.keys)}
    controls: dict[str, RandomControl] = {}
    for place, (key, item) in enumerate(watched.items()):
        names = [f"{other.name}@{other.address}" for other in drawn[item.address]]
        controls[key] = place_among(MEASURE, float(areas[place]), [float(areas[columns[n]]) for n in names])
    return controls


def peak_values(signal: Signal, projections: TurnProjections) -> Float[Tensor, "features"] | None:
    """What `signal_score` gives, for many features at once; None where there is no value."""
    peaks: list[Tensor] = []
    for turn in projections.turns:
        if signal.at == "last_prompt":
            peaks.append(turn.last_prompt.double())
        elif len(turn.tokens):
            tokens = turn.tokens.double()
            means = tokens.unfold(0, min(signal.window, len(tokens)), 1).mean(-1)
            peaks.append(means.amax(0))
    return torch.stack(peaks).amax(0) if peaks else None


def _peaks(
    model: Engine, features: FeatureSet, signal: Signal, data: Data
) -> Float[Tensor, "conversations features"]:
    peaks: list[Tensor] = []
    for talks in _together(model, data):
        traces = project_turns(model, features, talks)
        peaks += [peak for trace in traces if (peak := peak_values(signal, trace)) is not None]
    return torch.stack(peaks) if peaks else torch.zeros(0, len(features), dtype=torch.float64)


def _together(model: Engine, data: Data) -> Iterator[Sequence[Sequence[Row]]]:
    """The first conversations, some at a time; rows that cannot be read were told of before."""
    talks: list[Sequence[Row]] = []
    for record in islice(ConversationSource.of(data).records(), CONVERSATIONS):
        try:
            rows = turn_rows(model, record.conversation().messages)
            require_room(model, rows)
        except (DataError, ModelError):
            continue
        talks.append(rows)
        if len(talks) == TOGETHER:
            yield talks
            talks = []
    if talks:
        yield talks
