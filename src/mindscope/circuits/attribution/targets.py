"""What a graph explains: logits, differences of logits, any direction, or one feature."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mindscope.circuits.graph.nodes import AttributionTarget
from mindscope.circuits.replacement.local_model import Injections, LocalReplacementModel, before_norm
from mindscope.errors import DataError
from mindscope.features import Direction
from mindscope.models import Model, written


@dataclass(frozen=True, slots=True, eq=False)
class ResolvedTargets:
    """Targets of one prompt, ready to be traced.

    Attributes:
        targets: for the graph.
        seeds: a row each.
    """

    targets: tuple[AttributionTarget, ...]
    injections: Injections


@dataclass(frozen=True, slots=True, eq=False)
class TargetSpec:
    """What to explain, before there is a prompt: made by the functions of this file.

    Attributes:
        description: JSON, kept with the graph.
        find: gives the aims of a prompt.
    """

    description: Mapping[str, Any]
    resolve: Callable[[Model, LocalReplacementModel], ResolvedTargets]


def top_logits(most: int = 10, probability: float = 0.95) -> TargetSpec:
    """The fewest most probable next tokens that together have this probability, at most `most` of them.

    A logit is explained as its difference from the mean of all logits, before any soft cap; its weight is its
    probability, after it (Ameisen et al. 2025).
    """
    if most < 1 or not 0 < probability <= 1:
        raise DataError("top logits need at least one token, and a probability above 0 and up to 1")

    def find(model: Model, local_model: LocalReplacementModel) -> ResolvedTargets:
        share = local_model.frozen_pass.logits.softmax(0)
        values, ids = share.topk(min(most, len(share)))
        enough = int(torch.searchsorted(values.cumsum(0), probability)) + 1
        return _logits(model, local_model, ids[:enough].tolist())

    return TargetSpec({"kind": "top_logits", "most": most, "probability": probability}, find)


def tokens(*wanted: int | str) -> TargetSpec:
    """Chosen next tokens, as ids or as texts of one token each; explained and weighted like `top_logits`.

    Raises:
        DataError: when traced, for a text that is not one token, an id outside the vocabulary, or one twice.
    """
    if not wanted:
        raise DataError("name at least one token to explain")

    def find(model: Model, local_model: LocalReplacementModel) -> ResolvedTargets:
        ids = [_id(model, one) for one in wanted]
        if len(set(ids)) < len(ids):
            raise DataError("a token is among the targets twice: name each once")
        return _logits(model, local_model, ids)

    return TargetSpec({"kind": "tokens", "tokens": list(wanted)}, find)


def difference(more: int | str, less: int | str) -> TargetSpec:
    """The logit of one next token less that of another, with weight 1: why this and not that?"""

    def find(model: Model, local_model: LocalReplacementModel) -> ResolvedTargets:
        one, other = _id(model, more), _id(model, less)
        if one == other:
            raise DataError(f"a token's difference from itself is 0: {more!r} and {less!r} are one token")
        rows, bias = _unembedding(model, [one, other])
        label = f'Output "{_text(model, one)}" less "{_text(model, other)}"'
        target = AttributionTarget(label, None, 1.0)
        last = torch.tensor([local_model.n_positions - 1], device=rows.device)
        vector, shift = before_norm(
            local_model.final_norm, last, (rows[0] - rows[1])[None], (bias[0] - bias[1])[None]
        )
        return ResolvedTargets(
            (target,), Injections(_join(local_model, 2 * local_model.n_layers, 1), last, vector, shift)
        )

    return TargetSpec({"kind": "difference", "more": more, "less": less}, find)


def direction(
    label: str, direction: Direction, position: int | None = None, weight: float = 1.0
) -> TargetSpec:
    """The projection on a direction at one token: a persona vector, a classifier, a probe.

    Args:
        label: how people read it.
        direction: at `resid_post.l`, `resid_pre.l`, `resid_mid.l`, `mlp_in.l` or `final_norm`; projected on
            its unit vector, as everywhere.
        position: of the token, from 0; negative from the end; None for the last.
        weight: what it counts among several targets.

    Raises:
        DataError: when traced, for a direction of another model or another place, or no such token.
    """

    def find(model: Model, local_model: LocalReplacementModel) -> ResolvedTargets:
        if direction.fingerprint != model.fingerprint:
            raise DataError(f"{direction.name} is a direction of another model than {model.name}")
        at = torch.tensor([resolve_position(local_model, position)], device=local_model.embeddings.device)
        vector = direction.unit.to(local_model.embeddings)[None]
        bias = vector.new_zeros(1)
        point, _, number = direction.address.partition(".")
        layer = int(number) if number else local_model.n_layers
        middle = 2 * layer + (not local_model.parallel)
        match point:
            case "resid_post":
                layer, join = layer + 1, 2 * layer + 2
            case "resid_pre":
                join = 2 * layer
            case "resid_mid" if not local_model.parallel:
                join = middle
            case "mlp_in":
                join = middle
                vector, bias = before_norm(local_model.blocks[layer].read_norm, at, vector, bias)
            case "final_norm":
                join = 2 * local_model.n_layers
                vector, bias = before_norm(local_model.final_norm, at, vector, bias)
            case _:
                raise DataError(
                    f"a direction at {direction.address} cannot be traced: use one at resid_post, resid_pre, "
                    "resid_mid, mlp_in or final_norm"
                )
        target = AttributionTarget(label, None, weight, layer=layer, position=int(at))
        return ResolvedTargets((target,), Injections(_join(local_model, join, 1), at, vector, bias))

    about = {"kind": "direction", "label": label, "address": direction.address, "digest": direction.digest()}
    return TargetSpec({**about, "position": position, "weight": weight}, find)


def feature(layer: int, position: int, latent: int) -> TargetSpec:
    """One active feature: why is it on here?

    Raises:
        DataError: when traced, if it is not active at that token.
    """

    def find(model: Model, local_model: LocalReplacementModel) -> ResolvedTargets:
        at = resolve_position(local_model, position)
        wanted = torch.tensor([layer, at, latent], device=local_model.features.device)
        found = (local_model.features == wanted).all(1).nonzero().flatten()
        if not len(found):
            raise DataError(
                f"feature {latent} of layer {layer} is not active at token {at}: choose one that is, from a "
                "graph of the logits"
            )
        target = AttributionTarget(f"Feature {layer}/{latent}", None, 1.0, layer=layer, position=at)
        return ResolvedTargets((target,), local_model.inject_features(found))

    return TargetSpec({"kind": "feature", "layer": layer, "position": position, "latent": latent}, find)


def together(*several: TargetSpec) -> TargetSpec:
    """Several targets in one graph, each with its weight."""

    def find(model: Model, local_model: LocalReplacementModel) -> ResolvedTargets:
        found = [one.resolve(model, local_model) for one in several]
        targets = tuple(target for one in found for target in one.targets)
        return ResolvedTargets(targets, Injections.concatenate([one.injections for one in found]))

    return TargetSpec({"kind": "together", "targets": [dict(one.description) for one in several]}, find)


def _logits(model: Model, local_model: LocalReplacementModel, ids: Sequence[int]) -> ResolvedTargets:
    """Chosen logits of the last token, less the mean of all."""
    share = local_model.frozen_pass.logits.softmax(0)
    rows, bias = _unembedding(model, ids)
    last = torch.full((len(ids),), local_model.n_positions - 1, device=rows.device)
    vector, shift = before_norm(local_model.final_norm, last, rows, bias)
    targets = tuple(
        AttributionTarget(f'Output "{_text(model, one)}" (p={float(share[one]):.3f})', one, float(share[one]))
        for one in ids
    )
    return ResolvedTargets(
        targets, Injections(_join(local_model, 2 * local_model.n_layers, len(ids)), last, vector, shift)
    )


def _unembedding(model: Model, ids: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Rows of the unembedding and its bias, less their means over the vocabulary."""
    head: Any = model.engine.arch.lm_head
    multiplier = model.engine.logit_multiplier or 1.0
    weight = head.weight.detach().float()
    bias = weight.new_zeros(len(weight)) if head.bias is None else head.bias.detach().float()
    rows, own = weight[list(ids)] - weight.mean(0), bias[list(ids)] - bias.mean()
    return rows * multiplier, own * multiplier


def _join(local_model: LocalReplacementModel, at: int, count: int) -> Tensor:
    return torch.full((count,), at, device=local_model.embeddings.device)


def resolve_position(local_model: LocalReplacementModel, position: int | None) -> int:
    """A token's position, counted from the end where negative; DataError without such a token."""
    count = local_model.n_positions
    at = count - 1 if position is None else position + count if position < 0 else position
    if not 0 <= at < count:
        raise DataError(f"there is no token {position}: the prompt has tokens 0 to {count - 1}")
    return at


def _id(model: Model, token: int | str) -> int:
    if isinstance(token, int):
        if not 0 <= token < model.engine.vocab_size:
            raise DataError(f"there is no token {token}: the vocabulary has {model.engine.vocab_size}")
        return token
    ids = model.tokenizer(token, add_special_tokens=False)["input_ids"]
    if len(ids) != 1:
        raise DataError(
            f"{token!r} is {len(ids)} tokens in this vocabulary, one is needed: give its first piece, with "
            "the space before it if it has one"
        )
    return ids[0]


def _text(model: Model, token: int) -> str:
    return written(model.tokenizer, [token])[0]
