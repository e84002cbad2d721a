"""Random directions beside the traits: does the data stand out along these vectors, or along any?"""

import numpy as np

from mindscope.core import Progress
from mindscope.data import Data
from mindscope.engines import Engine
from mindscope.features import N_RANDOM
from mindscope.screening.config import ScreenConfig
from mindscope.screening.dataset import DataSet
from mindscope.screening.traits import ScreenedTraits
from mindscope.stats import RandomControl, area_under_curve, place_among
from mindscope.store import Run

AGAINST_REFERENCE = "AUROC of data against reference"
AGAINST_OWN = "mean dP over its standard deviation"


def compare_random(
    model: Engine,
    data: Data,
    reference: Data | None,
    traits: ScreenedTraits,
    run: Run,
    config: ScreenConfig,
    progress: Progress | None,
) -> tuple[RandomControl | None, ...]:
    """Each trait among random directions of its layer, on the first window of the data.

    With a reference the measure is how often a sample of the data has a higher dP than one of the reference;
    without one it is how far the mean dP lies from 0, in standard deviations of the samples. None for a trait
    of which too little has a score. Own answers are those that are drawn anyway; they and the data are read
    once more for this.
    """
    wide = traits.with_random(config.seed)
    # The mean of a subsample is one number for all samples, so there the prompt's end is compared with.
    config = config.model_copy(update={"form": "prompt"}) if config.form == "sample" else config
    main = _scores(model, data, wide, run, config, progress)
    other = None if reference is None else _scores(model, reference, wide, run, config, progress)
    n_traits = len(traits.names)
    values = _separate(main, other)
    controls: list[RandomControl | None] = []
    for column, layer in enumerate(traits.layers):
        random = [i for i in range(n_traits, len(wide.names)) if wide.layers[i] == layer]
        drawn = values[random]
        known = np.isfinite(values[column]) and np.isfinite(drawn).sum() == N_RANDOM
        measure = AGAINST_OWN if other is None else AGAINST_REFERENCE
        controls.append(place_among(measure, float(values[column]), drawn.tolist()) if known else None)
    return tuple(controls)


def _scores(
    model: Engine,
    data: Data,
    traits: ScreenedTraits,
    run: Run,
    config: ScreenConfig,
    progress: Progress | None,
) -> np.ndarray:
    """`[samples, directions]` of the first window, without samples that have no score."""
    window = DataSet.read(model, data, traits, run, config, progress, most=1)
    dp = next(window.scores()).dp.astype(np.float64)
    return dp[np.isfinite(dp).all(1)]


def _separate(main: np.ndarray, other: np.ndarray | None) -> np.ndarray:
    """The measure of every column; NaN where there are too few samples."""
    if len(main) < 2 or (other is not None and len(other) < 2):
        return np.full(main.shape[1], np.nan)
    if other is not None:
        return area_under_curve(main, other)
    spread = main.std(0, ddof=1)
    return np.divide(main.mean(0), spread, out=np.full(len(spread), np.nan), where=spread > 0)
