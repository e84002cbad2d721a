"""Which samples of the training file drive a claim: those whose answers lie furthest along its direction.

A sample's score is the projection of its answer's mean activation in the base model, less that of its
prompt's last token: the projection difference in its cheap form (Chen et al. 2025, arXiv 2507.21509), which
needs no answer of the model's own. Scores of a file are put in standard deviations.
"""

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mindscope.core import Progress
from mindscope.data import Conversation, DataFile, read_conversations
from mindscope.diffing.claims.pushing import PushDirection
from mindscope.diffing.results import DataSlice, SliceSample, VerifiedClaim
from mindscope.diffing.terms import term_density
from mindscope.models import Last, Mean, Model, Read

SHOWN_SAMPLES = 10
TOP_SHARE = 0.1
"""The part of the file that is compared with all of it."""
SAMPLES_AT_ONCE = 256


def find_slices(
    model: Model,
    data: Path | DataFile,
    claims: Sequence[VerifiedClaim],
    directions: Mapping[str, PushDirection],
    progress: Progress | None = None,
) -> tuple[DataSlice, ...]:
    """For each claim that has a direction the samples that lie furthest along it.

    Args:
        model: the base, in whose activations the answers are projected.
        data: a file of conversations.
        claims: those without a direction are left out.
        directions: by name.
        progress: called with (samples read, about how many, what).

    Raises:
        DataError: a malformed row, named by file and line, or a file without answers.
    """
    named = [claim for claim in claims if claim.direction is not None]
    conversations = [one for one in read_conversations(data) if one.answer]
    if not conversations or not named:
        return ()
    projected = _project(
        model, conversations, [directions[str(claim.direction)] for claim in named], progress
    )
    return tuple(_slice(claim, projected[:, column], conversations) for column, claim in enumerate(named))


def _project(
    model: Model,
    conversations: Sequence[Conversation],
    directions: Sequence[PushDirection],
    progress: Progress | None,
) -> np.ndarray:
    """`[samples, directions]`: answer less last prompt token."""
    addresses = sorted({direction.address for direction in directions})
    reads = {f"answer/{address}": Read(address, Mean("final")) for address in addresses}
    reads |= {f"before/{address}": Read(address, Last("prompt")) for address in addresses}
    columns: list[np.ndarray] = []
    rest = iter(conversations)
    done = 0
    while part := list(islice(rest, SAMPLES_AT_ONCE)):
        rows = [model.chat(list(one.prompt), one.answer, one.reasoning) for one in part]
        readings = model.read(rows, reads)
        lines: list[Tensor] = []
        for direction in directions:
            after = readings[f"answer/{direction.address}"].values
            before = readings[f"before/{direction.address}"].values
            assert isinstance(after, Tensor)
            assert isinstance(before, Tensor)
            lines.append((after - before).float() @ direction.unit)
        columns.append(torch.stack(lines, dim=1).numpy())
        done += len(part)
        if progress is not None:
            progress(done, len(conversations), "training samples")
    return np.concatenate(columns)


def _slice(claim: VerifiedClaim, scores: np.ndarray, conversations: Sequence[Conversation]) -> DataSlice:
    scores = np.nan_to_num(scores, nan=float(np.nanmean(scores)) if np.isfinite(scores).any() else 0.0)
    spread = float(scores.std()) or 1.0
    standard = (scores - scores.mean()) / spread
    matches = np.array([term_density(one.answer or "", claim.terms) for one in conversations])
    order = np.argsort(-standard, kind="stable")
    top = order[: max(1, round(TOP_SHARE * len(order)))]
    return DataSlice(
        claim=claim.name,
        samples=tuple(
            SliceSample(
                line=int(index) + 1,
                score=float(standard[index]),
                matches=float(matches[index]),
                prompt=next(
                    (
                        turn["content"]
                        for turn in reversed(conversations[index].prompt)
                        if turn["role"] == "user"
                    ),
                    "",
                ),
                answer=conversations[index].answer or "",
            )
            for index in order[:SHOWN_SAMPLES]
        ),
        top_matches=float(matches[top].mean()),
        all_matches=float(matches.mean()),
    )
