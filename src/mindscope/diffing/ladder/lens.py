"""The activation difference lens: mean differences at chosen places, read out as tokens.

Minder et al. 2025, "Narrow finetuning leaves clearly readable traces in activation differences" (arXiv
2510.13900). Narrow tuning leaves a constant offset: even at the first tokens of texts that have nothing to do
with it, the mean of h_tuned - h_base says what the tuning was about.

1. Unrelated texts go through both models; at each of the first k = 5 tokens of the middle layer, the mean
   difference over the texts is one vector. So are the means at the last prompt token of the chat prompts, and
   over the tokens of the tuned model's answers.
2. Logit lens: the tokens that a vector raises most through the final norm and unembedding of the tuned model.
3. Patchscope (Ghandeharioun et al. 2024, arXiv 2401.06102): the vector, at the usual norm of the tuned
   model's activations, takes the place of the last token of a prompt that repeats tokens ("cat → cat"); what
   the model says then is the reading. Log-probabilities are averaged over three such prompts.

Steering along the vectors is the third reading of the paper; here it is how claims are tested. The paper lets
a language model choose among several norms for the patchscope; ours takes the usual norm alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.diffing.config import DiffConfig
from mindscope.diffing.pairing import Prompt, chat_row
from mindscope.diffing.results import LensPlace, LensReading
from mindscope.models import Edit, Last, Mean, Model, Read, Row, Where, logit_effects

IDENTITY_PROMPTS = (
    "cat → cat\nhouse → house\nblue → blue\n?",
    "seven → seven\nriver → river\nglad → glad\n?",
    "bread → bread\ntwo → two\nold → old\n?",
)
"""A pattern that says each thing twice; the last sign's activation is replaced."""
ROWS_AT_ONCE = 64
TEXTS = "texts"
"""The mean difference over the first tokens, the very first left out: on it many models have a sink."""


@dataclass(frozen=True)
class PlaceActivations:
    """What both models have at one kind of place: one row a text or prompt that has it."""

    base: Float[Tensor, "rows d_model"]
    tuned: Float[Tensor, "rows d_model"]

    @property
    def difference(self) -> Float[Tensor, "d_model"]:
        """The mean of tuned minus base."""
        return (self.tuned - self.base).mean(0)

    @property
    def agreement(self) -> float:
        """The cosine of the mean differences of the even and the odd rows; 0 where one is zero."""
        change = self.tuned - self.base
        if len(change) < 2:
            return 0.0
        halves = change[0::2].mean(0), change[1::2].mean(0)
        return float(torch.cosine_similarity(halves[0], halves[1], dim=0))


@dataclass(frozen=True)
class LensVectors:
    """The mean differences, float32 on the CPU, by place."""

    address: str
    vectors: Mapping[str, Float[Tensor, "d_model"]]
    norms: Mapping[str, float]
    """The mean norm of the base model's activations there."""
    promoted: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """By place the tokens that the vector raises most, by logit lens and patchscope, best first."""


def compare_places(
    base: Model, tuned: Model, address: str, rows: Sequence[Row], where: Mapping[str, Mean | Last]
) -> dict[str, PlaceActivations]:
    """The activations of both models at some places of the same rows; rows without a place are left out."""
    reads = {name: Read(address, reduce) for name, reduce in where.items()}
    before, after = base.read(rows, reads), tuned.read(rows, reads)
    places: dict[str, PlaceActivations] = {}
    for name in reads:
        old, new = before[name].values, after[name].values
        assert isinstance(old, Tensor)
        assert isinstance(new, Tensor)
        known = before[name].valid & old.isfinite().all(1) & new.isfinite().all(1)
        if known.any():
            places[name] = PlaceActivations(old[known].float(), new[known].float())
    return places


def read_lens(
    base: Model,
    tuned: Model,
    texts: Sequence[str],
    prompts: Sequence[Prompt],
    answers: Sequence[str],
    address: str,
    config: DiffConfig,
) -> tuple[LensReading, LensVectors]:
    """The mean differences at all places, with what they read out as.

    Args:
        base, tuned: of one shape, with one tokenizer.
        texts: unrelated to the tuning.
        prompts: chats up to the answer.
        answers: the tuned model's answers to them.
        address: of the residual stream.
        config: how many positions and tokens.
    """
    positions = {f"text {j}": Mean((j,)) for j in range(config.positions)}
    places = compare_places(base, tuned, address, [base.text(text) for text in texts], positions)
    chats = [chat_row(base, prompt, answer) for prompt, answer in zip(prompts, answers, strict=True)]
    chats = [row for row in chats if row.answer]
    spoken = {"last_prompt": Last("prompt"), "answer": Mean("answer")}
    places |= compare_places(base, tuned, address, chats, spoken)
    first = [place for name, place in places.items() if name in positions and name != "text 0"]
    if first:
        shortest = min(len(place.base) for place in first)
        places[TEXTS] = PlaceActivations(
            torch.stack([place.base[:shortest] for place in first]).mean(0),
            torch.stack([place.tuned[:shortest] for place in first]).mean(0),
        )
    norms = {name: float(place.base.norm(dim=1).mean()) for name, place in places.items()}
    tuned_norm = float(places["answer"].tuned.norm(dim=1).mean()) if "answer" in places else 1.0
    vectors = {name: place.difference for name, place in places.items() if place.difference.any()}
    if not vectors:
        return LensReading(address=address, places=()), LensVectors(address, {}, norms)
    stacked = torch.stack(list(vectors.values()))
    lens = _tokens_of_logits(tuned, stacked, config.n_terms)
    scopes = {
        name: read_patchscope(tuned, address, vector, tuned_norm, config.n_terms)
        for name, vector in vectors.items()
    }
    promoted = {
        name: list(dict.fromkeys([*_alternating(own, scopes[name])]))
        for name, own in zip(vectors, lens, strict=True)
    }
    reading = LensReading(
        address=address,
        places=tuple(
            LensPlace(
                place=name,
                n=len(places[name].base),
                norm=float(vector.norm()),
                share=float(vector.norm()) / max(norms[name], 1e-12),
                agreement=places[name].agreement,
                logit_lens=tuple(tuned.tokenizer.decode([token]) for token in own),
                patchscope=tuple(tuned.tokenizer.decode([token]) for token in scopes[name]),
            )
            for (name, vector), own in zip(vectors.items(), lens, strict=True)
        ),
    )
    return reading, LensVectors(address, vectors, norms, promoted)


def mean_differences(
    base: Model, tuned: Model, rows: Sequence[Row], addresses: Sequence[str], where: Sequence[Mean | Last]
) -> dict[str, Float[Tensor, "width"]]:
    """The mean of tuned minus base over rows at several addresses; addresses without a difference are left
    out.

    Args:
        base, tuned: of one shape, with one tokenizer.
        rows: read by both, a few at a time; the values of each are kept.
        addresses: of the residual stream.
        where: the places of a row; their mean counts once a row.
    """
    before, after = (_row_means(model, rows, addresses, where) for model in (base, tuned))
    means = {address: _mean_change(before[address], after[address]) for address in addresses}
    return {address: vector for address, vector in means.items() if vector.any()}


def remaining_differences(
    base: Model,
    tuned: Model,
    rows: Sequence[Row],
    addresses: Sequence[str],
    where: Sequence[Mean | Last],
    tokens: Where,
) -> dict[str, Float[Tensor, "width"]]:
    """What is to be taken from the tuned model, layer by layer, so that no mean difference is left.

    At each address it is the mean of tuned minus base that is there once what stands before it in the list
    has been taken away: the whole difference at every layer would be taken as often as there are layers.

    Args:
        base, tuned: of one shape, with one tokenizer.
        rows: read by both.
        addresses: of the residual stream, from the first layer to the last.
        where: the places of a row that are measured; their mean counts once a row.
        tokens: from which the differences are taken.
    """
    before = _row_means(base, rows, addresses, where)
    taken: list[Edit] = []
    for address in addresses:
        with tuned.edited(taken):
            after = _row_means(tuned, rows, [address], where)
        vector = _mean_change(before[address], after[address])
        if vector.any():
            taken.append(Edit(address, "add", vector, -1.0, tokens))
    return {edit.address: edit.vector for edit in taken}


def _row_means(
    model: Model, rows: Sequence[Row], addresses: Sequence[str], where: Sequence[Mean | Last]
) -> dict[str, Float[Tensor, "rows width"]]:
    """By address what a model has at the places of each row, one place after the other; NaN where a row has
    none.
    """
    reads = {
        f"{number}/{address}": Read(address, reduce)
        for address in addresses
        for number, reduce in enumerate(where)
    }
    parts: dict[str, list[Tensor]] = {address: [] for address in addresses}
    for start in range(0, len(rows), ROWS_AT_ONCE):
        read = model.read(rows[start : start + ROWS_AT_ONCE], reads)
        for name, one in reads.items():
            values = read[name].values
            assert isinstance(values, Tensor)
            parts[one.address].append(values)
    return {address: torch.cat(values) for address, values in parts.items()}


def _mean_change(
    before: Float[Tensor, "rows width"], after: Float[Tensor, "rows width"]
) -> Float[Tensor, "width"]:
    known = before.isfinite().all(1) & after.isfinite().all(1)
    change = (after[known] - before[known]).double().sum(0)
    return (change / max(1, int(known.sum()))).float()


def read_patchscope(
    model: Model, address: str, vector: Float[Tensor, "d_model"], norm: float, count: int
) -> list[int]:
    """The tokens that a model says of a vector which it is to repeat, likeliest first.

    Args:
        model: reads the vector.
        address: where it takes an activation's place.
        vector: any length but zero; it is scaled.
        norm: the length that it gets.
        count: how many tokens.
    """
    rows = [model.text(prompt) for prompt in IDENTITY_PROMPTS]
    scale = norm / float(vector.norm())
    edits = [[Edit(address, "replace", vector, scale, (len(row) - 1,))] for row in rows]
    said = model.next_logits(rows, edits=edits).log_softmax(-1).mean(0)
    return said.topk(count).indices.tolist()


def _tokens_of_logits(model: Model, vectors: Float[Tensor, "k d_model"], count: int) -> list[list[int]]:
    effects = logit_effects(model, vectors)
    return effects.topk(count, dim=1).indices.tolist()


def _alternating(first: Sequence[int], second: Sequence[int]) -> list[int]:
    """Both lists, taken in turn."""
    return [token for pair in zip(first, second, strict=True) for token in pair]
