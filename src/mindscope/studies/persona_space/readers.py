"""How well the voice of an answer can be read before its first token, by a linear and a non-linear reader.

The prompt's last token is read, of all voices' prompts; what is to be told is how much of each voice the
answer then shows. One draw is held out, with its questions and system prompts.
"""

from collections.abc import Sequence

import numpy as np
import torch
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from sklearn.neural_network import MLPRegressor

from mindscope.studies.persona_space.results import ReaderScores
from mindscope.studies.persona_space.voices import VoiceReads

PENALTIES = np.logspace(-2, 4, 7)
EPOCHS = 2000


def measure_readers(draws: Sequence[VoiceReads], held: int, width: int, seed: int) -> ReaderScores:
    """Fit both readers on all draws but one, and let them read that one.

    Args:
        draws: all of them.
        held: the number of the one that is read.
        width: hidden units of the non-linear reader.
        seed: of its weights.
    """

    def rows(reads: Sequence[VoiceReads]) -> tuple[np.ndarray, np.ndarray]:
        x = torch.cat([each.prompts.flatten(0, 1) for each in reads])
        y = torch.cat([each.shown.flatten(0, 1) for each in reads if each.shown is not None])
        return x.double().numpy(), y.double().numpy() / 100

    x, y = rows([each for number, each in enumerate(draws) if number != held])
    seen_x, seen_y = rows([draws[held]])
    mean, spread = x.mean(0), x.std(0) + 1e-9
    x, seen_x = (x - mean) / spread, (seen_x - mean) / spread
    linear = RidgeCV(PENALTIES).fit(x, y)
    # early stopping holds out a tenth of the rows it may see
    wide = MLPRegressor(
        hidden_layer_sizes=(width,),
        alpha=1e-2,
        early_stopping=True,
        max_iter=EPOCHS,
        n_iter_no_change=20,
        random_state=seed,
    ).fit(x, y)
    said = (
        np.asarray(r2_score(seen_y, reader.predict(seen_x), multioutput="raw_values"))
        for reader in (linear, wide)
    )
    by_linear, by_wide = (tuple(values.tolist()) for values in said)
    return ReaderScores(linear=by_linear, wide=by_wide)
