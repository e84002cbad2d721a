"""The induction heads of any model that was loaded, and what it costs to take them out.

1. Random tokens, four times over behind a start token: every head's pattern gives prefix matching; what its
   values write on the unembedding gives copying, weighted with the attention paid (`scores.py`). The logits
   of a large model are moved by much else, so that heads which copy may have a score under 0.
2. Every pattern is held as it was, and a head's part of what its layer mixes is set to zero: what is lost is
   what the head writes, not what others do with the change in their patterns (pattern-preserving ablation).
3. The loss on tokens that stand there again says what it costs: of each of the best heads, of the strongest
   at once, and of as many random heads of the same layers.
"""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.errors import DataError
from mindscope.models import (
    FrozenPass,
    Model,
    Row,
    centred_unembedding,
    find_linear_parts,
    freeze,
    frozen,
    rewritten,
)
from mindscope.studies.common import round_known
from mindscope.studies.induction.claims import strongest
from mindscope.studies.induction.results import HeadCost, HeadGroups, HeadScan, RowCosts, RowScores
from mindscope.studies.induction.scores import (
    REPEATS,
    SEGMENT,
    SEQUENCES,
    attend_previous,
    match_beside,
    match_prefixes,
    score_copying,
)

ORDINARY = 0.1
"""Of the vocabulary so much is left out at either end: a tokenizer's first tokens are common, its last ones
rare."""
GROUP = 5
"""Heads that are taken out at once."""
DRAWS = 10
"""Groups of random heads."""
SINGLE = 10
"""Of so many heads the cost is measured one by one."""
ABLATED = 5
"""Sequences on which costs are measured, of either kind."""
AT_ONCE = 8
"""Copies of a row in one pass, each with other heads taken out."""
TEXTS = (
    (
        "The ferry left the northern harbour before sunrise, carrying four bicycles, a crate of lemons and "
        "a piano that nobody on board could play."
    ),
    (
        "Doctor Halloran kept her notes in green ink, because the blue bottle had frozen twice that winter "
        "and cracked the shelf above the stove."
    ),
    (
        "When the orchestra moved to Tallinn, the second violinist stayed behind to repair clocks for the "
        "railway museum near the river."
    ),
    (
        "Each spring the valley schools exchange one teacher, one recipe for barley soup and one question "
        "that no pupil has answered yet."
    ),
    (
        "The committee rejected the copper roof, the glass staircase and the marble fountain, but it "
        "approved a small bench under the walnut tree."
    ),
)
"""Each is read twice over."""

SCORES = ("prefix", "beside", "copying", "previous")
Head = tuple[int, int]
"""Layer and head."""


@dataclass(frozen=True)
class RepeatedRow:
    """A row in which something stands again.

    Attributes:
        row: the tokens.
        again: the first place at which a token stands again.
    """

    row: Row
    again: int


class HeadScanner:
    """A model, and the rows that its heads are looked at on."""

    def __init__(self, model: Model, seed: int) -> None:
        """Draw the rows.

        Raises:
            DataError: the context is too short for the sequences, or the vocabulary too small.
        """
        self.model, self.seed = model, seed
        self.rows = _random_rows(model, seed)
        self.ablated = [*self.rows[:ABLATED], *_text_rows(model)]

    @torch.no_grad()
    def score_row(self, number: int) -> RowScores:
        """Every head's scores on one row.

        Raises:
            ModelError: the model's attention cannot be seen.
        """
        scores = _score_row(self.model, self.rows[number])
        n_layers, n_heads = scores[0].shape
        return RowScores(
            n_layers=n_layers,
            n_heads=n_heads,
            scores=tuple(_row(score.flatten()) for score in scores),
        )

    def rank_heads(self, scored: Sequence[RowScores]) -> list[HeadCost]:
        """All heads with their mean scores, the best at matching prefixes first."""
        means = torch.tensor([row.scores for row in scored]).mean(0).T.tolist()
        n_heads = scored[0].n_heads
        heads = [
            HeadCost(
                layer=place // n_heads,
                head=place % n_heads,
                **{name: round_known(value) or 0.0 for name, value in zip(SCORES, values, strict=True)},
                cost=None,
            )
            for place, values in enumerate(means)
        ]
        return sorted(heads, key=lambda head: -head.prefix)

    @torch.no_grad()
    def silence_heads(self, number: int, heads: Sequence[HeadCost]) -> RowCosts:
        """What it costs on one row to take heads out: none, the strongest at once, the best one by one,
        random.
        """
        again, first = _silenced_losses(self.model, self.ablated[number], self._plan(heads))
        return RowCosts(again=_row(again), first=float(first))

    def conclude(self, heads: Sequence[HeadCost], costs: Sequence[RowCosts]) -> HeadScan:
        """All rows together."""
        group, single, drawn = self._parts(heads)
        # rows x ablations: what is lost where tokens stand again
        table = torch.tensor([row.again for row in costs])
        rises = table - table[:, :1]
        mean = rises[:ABLATED].mean(0)
        by_head = {head: float(mean[2 + place]) for place, head in enumerate(single)}
        ours, others = rises[:, 1], rises[:, 2 + len(single) :].mean(1)
        return HeadScan(
            model=self.model.name,
            fingerprint=self.model.fingerprint,
            n_layers=1 + max(head.layer for head in heads),
            n_heads=1 + max(head.head for head in heads),
            heads=tuple(
                head.model_copy(update={"cost": round_known(by_head.get((head.layer, head.head)))})
                for head in heads
            ),
            groups=HeadGroups(
                heads=tuple(f"{layer}.{head}" for layer, head in group),
                induction=_row(ours[:ABLATED]),
                random=_row(others[:ABLATED]),
                induction_text=_row(ours[ABLATED:]),
                random_text=_row(others[ABLATED:]),
                draws=len(drawn),
                loss=round_known(float(table[:ABLATED, 0].mean())) or 0.0,
                loss_first=round_known(sum(row.first for row in costs[:ABLATED]) / ABLATED) or 0.0,
            ),
        )

    def _parts(self, heads: Sequence[HeadCost]) -> tuple[list[Head], list[Head], list[list[Head]]]:
        group = [(head.layer, head.head) for head in strongest(heads, GROUP)]
        single = [(head.layer, head.head) for head in heads[:SINGLE]]
        return group, single, _draw_groups(group, heads, self.seed)

    def _plan(self, heads: Sequence[HeadCost]) -> list[list[Head]]:
        group, single, drawn = self._parts(heads)
        return [[], group, *([head] for head in single), *drawn]


def _random_rows(model: Model, seed: int) -> list[RepeatedRow]:
    """Random tokens that are neither special, nor among the first or the last of the vocabulary."""
    size = int(model.engine.vocab_size)
    special = set(model.tokenizer.all_special_ids)
    ordinary = [
        token for token in range(int(ORDINARY * size), int((1 - ORDINARY) * size)) if token not in special
    ]
    if len(ordinary) < SEGMENT:
        raise DataError(f"{model.name} has {size} tokens: the scan needs {SEGMENT} ordinary ones")
    begin = _start(model)
    needed = len(begin) + SEGMENT * REPEATS
    if model.context_length is not None and model.context_length < needed:
        raise DataError(f"{model.name} reads {model.context_length} tokens: the scan needs {needed}")
    rng = random.Random(f"induction-{seed}")
    rows = []
    for _ in range(SEQUENCES):
        ids = (*begin, *(rng.sample(ordinary, SEGMENT) * REPEATS))
        rows.append(RepeatedRow(Row(ids, len(ids)), len(begin) + SEGMENT))
    return rows


def _text_rows(model: Model) -> list[RepeatedRow]:
    rows = []
    for text in TEXTS:
        own = tuple(model.tokenizer.encode(f" {text}", add_special_tokens=False))
        ids = (*_start(model), *own, *own)
        if model.context_length is None or len(ids) <= model.context_length:
            rows.append(RepeatedRow(Row(ids, len(ids)), len(ids) - len(own)))
    if not rows:
        raise DataError(f"{model.name} reads {model.context_length} tokens: the repeated texts do not fit")
    return rows


def _start(model: Model) -> tuple[int, ...]:
    """The start token, where a tokenizer has one: many heads rest on it."""
    begin = model.tokenizer.bos_token_id
    return () if begin is None else (int(begin),)


def _score_row(model: Model, repeated: RepeatedRow) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Prefix matching, its control, copying and previous-token attention, `[layers, heads]` each."""
    reads = [f"attn_in.{layer}" for layer in range(model.n_layers)]
    kept = freeze(model, repeated.row, reads)
    first = repeated.again - SEGMENT
    patterns = [pattern.cpu() for pattern in kept.patterns]
    prefix, beside = (
        torch.stack([score(pattern, SEGMENT, first) for pattern in patterns])
        for score in (match_prefixes, match_beside)
    )
    previous = torch.stack([attend_previous(pattern) for pattern in patterns])
    copying = _score_copying(model, kept, repeated)
    return prefix, beside, copying, previous


def _score_copying(model: Model, kept: FrozenPass, repeated: RepeatedRow) -> Float[Tensor, "layers heads"]:
    """Of all heads, over the first time that the tokens stand there."""
    parts = find_linear_parts(model)
    places = slice(repeated.again - SEGMENT, repeated.again)
    targets = kept.row.ids[places]
    rows, _ = centred_unembedding(model, targets)
    final = parts.norms["final_norm"]
    scores = []
    for layer, maps in enumerate(parts.attention):
        taken = kept.activations[f"attn_in.{layer}"][places]
        values = (taken @ maps.value.weight.T).unflatten(1, (maps.kv_heads, -1)).transpose(0, 1)
        values = values.repeat_interleave(maps.heads // maps.kv_heads, 0)
        outputs = maps.output.weight.unflatten(1, (maps.heads, -1)).transpose(0, 1)  # heads x d_model x size
        written = final.linear((values @ outputs.mT).float())
        raised = (written @ rows.T.to(written)).relu()  # heads x attended x targets
        paid = kept.patterns[layer][:, places, places].sum(1)  # heads x attended: all queries together
        own = (paid * raised.diagonal(0, 1, 2)).sum(1)
        scores.append(score_copying(own, (paid * raised.sum(2)).sum(1)).cpu())
    return torch.stack(scores)


@torch.no_grad()
def _silenced_losses(
    model: Model, repeated: RepeatedRow, silenced: Sequence[Sequence[Head]]
) -> tuple[Float[Tensor, "ablations"], Float[Tensor, ""]]:
    """The loss where tokens stand again, for every ablation; and where they stand first, with all heads."""
    kept = freeze(model, repeated.row)
    ids = torch.tensor(repeated.row.ids)
    again, first = [], None
    for start in range(0, len(silenced), AT_ONCE):
        part = silenced[start : start + AT_ONCE]
        with frozen(model, kept, norms=False), _silencing(model, part):
            logits = model.hf(**model.batch([repeated.row] * len(part)), use_cache=False).logits
        for line in logits:
            own = torch.nn.functional.cross_entropy(
                line[:-1].float().cpu(), ids[1:], reduction="none"
            )  # of tokens 1 and on
            again.append(own[repeated.again - 1 :].mean())
            first = own[: repeated.again - 1].mean() if first is None else first
    assert first is not None
    return torch.stack(again), first


@contextmanager
def _silencing(model: Model, silenced: Sequence[Sequence[Head]]) -> Iterator[None]:
    """In the block the heads of row i's list write nothing."""
    maps = find_linear_parts(model).attention
    layers = sorted({layer for heads in silenced for layer, _ in heads})

    def rewrite(address: str, hidden: Tensor, _seen: object) -> Tensor:
        layer = int(address.partition(".")[2])
        keep = hidden.new_ones(len(silenced), 1, maps[layer].heads)
        for line, heads in enumerate(silenced):
            for at, head in heads:
                if at == layer:
                    keep[line, 0, head] = 0
        return hidden * keep.repeat_interleave(hidden.shape[2] // maps[layer].heads, 2)

    with rewritten(model, [], [f"z.{layer}" for layer in layers], rewrite):
        yield


def _draw_groups(group: Sequence[Head], heads: Sequence[HeadCost], seed: int) -> list[list[Head]]:
    """Groups with as many heads of every layer as the strongest have, none of the best tenth at matching."""
    rng = random.Random(f"random-heads-{seed}")
    weak = {(head.layer, head.head) for head in heads[len(heads) // 10 :]} - set(group)
    groups = []
    for _ in range(DRAWS):
        drawn: list[Head] = []
        for layer, _head in group:
            free = sorted(head for head in weak if head[0] == layer and head not in drawn)
            free = free or sorted(
                (head.layer, head.head)
                for head in heads
                if head.layer == layer and (head.layer, head.head) not in {*group, *drawn}
            )
            if free:
                drawn.append(rng.choice(free))
        groups.append(drawn)
    return groups


def _row(values: Float[Tensor, "values"]) -> tuple[float, ...]:
    return tuple(round(value, 5) for value in values.tolist())
