"""The dictionary features that carry a persona: rebuilding its vector from a few, and taking them out.

1. Features are chosen by orthogonal matching pursuit (Pati et al. 1993): the one whose decoder direction is
   nearest to what is left of the vector, then all chosen ones fitted to the vector by least squares, and so
   on. The vector rebuilt from k features is their best fit.
2. Sufficient? Steer with the rebuilt vector at the whole vector's coefficient. Beside it: the same choice
   from as many random directions as the dictionary has features, which is as free to fit.
3. Necessary? Steer with what is left of the vector. And let the character be told by system prompts while
   the span of the chosen directions is taken out at every token; beside it that of another character's.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.dictionaries import Dictionary
from mindscope.models import Edit
from mindscope.studies.common import PieceProgress
from mindscope.studies.persona_space.results import PersonaCarriers
from mindscope.studies.persona_space.steering import CHARACTERS
from mindscope.studies.persona_space.voices import VOICES, VoiceBench, VoiceReads


def pursue(
    target: Float[Tensor, "width"], directions: Float[Tensor, "directions width"], count: int
) -> tuple[list[int], Float[Tensor, "count width"]]:
    """Orthogonal matching pursuit: the directions in the order chosen, and the fit of the first 1, 2, … of
    them. Directions have unit norm.
    """
    chosen: list[int] = []
    fits: list[Tensor] = []
    left = target.double()
    for _ in range(count):
        nearness = (directions.double() @ left).abs()
        nearness[chosen] = -1
        chosen.append(int(nearness.argmax()))
        basis = directions[chosen].double().T
        fit = basis @ torch.linalg.lstsq(basis, target.double()[:, None]).solution[:, 0]
        left = target.double() - fit
        fits.append(fit.float())
    return chosen, torch.stack(fits)


def measure_carriers(
    bench: VoiceBench, draw: int, reads: VoiceReads, dictionary: Dictionary, progress: PieceProgress
) -> PersonaCarriers:
    """Rebuild, take away and take out, for every character."""
    config, vectors = bench.config, reads.vectors
    counts, most = config.features, max(config.features)
    directions = torch.nn.functional.normalize(dictionary.decoder(0, 0).float(), dim=1)
    noise = torch.randn(directions.shape, generator=torch.Generator().manual_seed(bench.seed + draw))
    by_chance = torch.nn.functional.normalize(noise, dim=1)
    chosen, fits, chance = [], [], []
    for voice in CHARACTERS:
        features, fit = pursue(vectors[voice], directions, most)
        chosen.append(features)
        fits.append(fit[[k - 1 for k in counts]])
        chance.append(pursue(vectors[voice], by_chance, most)[1][[k - 1 for k in counts]])
    arms: list[tuple[Edit, ...]] = [()]
    for place, voice in enumerate(CHARACTERS):
        whole = vectors[voice]
        pushed = [whole, *fits[place], *(whole - fits[place]), *chance[place]]
        arms += [(bench.add(vector),) for vector in pushed]
    questions = bench.draw_questions(draw, "carriers", config.asked)
    n_told = 3 * len(CHARACTERS)
    total = (len(arms) + n_told) * len(questions)
    shown, _ = bench.ask_arms(arms, questions, draw, "carriers", lambda done, _: progress(done, total))
    means = shown.mean(1)
    # characters x (whole, k rebuilt, k rest, k by chance), each row's own voice
    own = np.stack(
        [rows[:, voice] for voice, rows in zip(CHARACTERS, np.split(means[1:], len(CHARACTERS)), strict=True)]
    )
    rebuilt, rest, random = np.split(own[:, 1:], 3, axis=1)

    spans = [_span_edits(bench, directions[features[: config.carriers]]) for features in chosen]
    told_arms: list[tuple[Edit, ...]] = []
    systems: list[Sequence[str]] = []
    for place, voice in enumerate(CHARACTERS):
        told_arms += [(), spans[place], spans[(place + 1) % len(spans)]]
        systems += [bench.draw_prompts(draw, VOICES[voice], len(questions))] * 3
    done_before = len(arms) * len(questions)
    told, coherent = bench.ask_arms(
        told_arms,
        questions,
        draw,
        "told carriers",
        lambda done, _: progress(done_before + done, total),
        systems,
    )
    told_own = np.stack(
        [told[3 * place : 3 * place + 3, :, voice].mean(1) for place, voice in enumerate(CHARACTERS)]
    )
    norms = vectors[list(CHARACTERS)].square().sum(1)
    held = [
        (1 - (vectors[voice] - fit).square().sum(1) / norm).tolist()
        for voice, fit, norm in zip(CHARACTERS, fits, norms, strict=True)
    ]
    return PersonaCarriers(
        features=tuple(tuple(features[: config.carriers]) for features in chosen),
        held=tuple(map(tuple, held)),
        unsteered=tuple(means[0, list(CHARACTERS)].tolist()),
        whole=tuple(own[:, 0].tolist()),
        rebuilt=tuple(map(tuple, rebuilt.tolist())),
        rest=tuple(map(tuple, rest.tolist())),
        random=tuple(map(tuple, random.tolist())),
        told=tuple(told_own[:, 0].tolist()),
        told_without=tuple(told_own[:, 1].tolist()),
        told_without_others=tuple(told_own[:, 2].tolist()),
        coherence_without=tuple(coherent[1::3].mean(1).tolist()),
    )


def _span_edits(bench: VoiceBench, directions: Float[Tensor, "k width"]) -> tuple[Edit, ...]:
    """Take the span of the directions out of every token: one ablation for each vector of a basis."""
    basis = torch.linalg.qr(directions.double().T).Q.T.float()
    return tuple(Edit(bench.address, "ablate", row, where="all") for row in basis)
