"""What a graph explains: logits, differences of logits, any direction, or one feature.

A target is a linear reading of the residual stream, `vector . stream + bias`, at one token (Ameisen et al.
2025, "Circuit Tracing", section "Attribution graphs"; any other direction works alike):

1. A `TargetSpec` says what is meant before there is a prompt, and describes itself in JSON.
2. Resolved on a prompt, it becomes a vector that reads behind some norm, or in the stream itself.
3. A norm's scale is held, so the vector is moved before it (`before_norm`): for a logit, the final norm's.
4. What comes out is where gradients begin: a vector, a position and a point of the stream (`Injections`).

A logit is read less the mean of all logits, which softmax does not see, and before any soft cap.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mindscope.circuits.graph.nodes import AttributionTarget
from mindscope.circuits.index_spaces import StreamPoint
from mindscope.circuits.replacement.injections import Injections, before_norm
from mindscope.circuits.replacement.local_model import LocalReplacementModel
from mindscope.errors import DataError
from mindscope.features import Direction
from mindscope.models import Model, centred_unembedding, split_address, written


@dataclass(frozen=True, slots=True, eq=False)
class ResolvedTargets:
    """Targets of one prompt, ready to be traced.

    Attributes:
        targets: as the graph has them.
        injections: a row per target.
    """

    targets: tuple[AttributionTarget, ...]
    injections: Injections


@dataclass(frozen=True, slots=True, eq=False)
class TargetSpec:
    """What to explain, before there is a prompt: made by the functions of this file.

    Attributes:
        description: JSON, kept with the graph.
        resolve: finds the targets of a prompt.
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

    def resolve(model: Model, local_model: LocalReplacementModel) -> ResolvedTargets:
        probabilities = local_model.frozen_pass.logits.softmax(0)
        values, ids = probabilities.topk(min(most, len(probabilities)))
        enough = int(torch.searchsorted(values.cumsum(0), probability)) + 1
        return _read_logits(model, local_model, ids[:enough].tolist())

    return TargetSpec({"kind": "top_logits", "most": most, "probability": probability}, resolve)


def tokens(*names: int | str) -> TargetSpec:
    """Chosen next tokens, as ids or as texts of one token each; explained and weighted like `top_logits`.

    Raises:
        DataError: when traced, for a text that is not one token, an id outside the vocabulary, or one twice.
    """
    if not names:
        raise DataError("name at least one token to explain")

    def resolve(model: Model, local_model: LocalReplacementModel) -> ResolvedTargets:
        ids = [_token_id(model, name) for name in names]
        if len(set(ids)) < len(ids):
            raise DataError("a token is among the targets twice: name each once")
        return _read_logits(model, local_model, ids)

    return TargetSpec({"kind": "tokens", "tokens": list(names)}, resolve)


def difference(more: int | str, less: int | str) -> TargetSpec:
    """The logit of one next token less that of another, with weight 1: why this and not that?"""

    def resolve(model: Model, local_model: LocalReplacementModel) -> ResolvedTargets:
        ids = [_token_id(model, more), _token_id(model, less)]
        if ids[0] == ids[1]:
            raise DataError(f"a token's difference from itself is 0: {more!r} and {less!r} are one token")
        rows, bias = centred_unembedding(model, ids)
        label = f'Output "{_text(model, ids[0])}" less "{_text(model, ids[1])}"'
        injections = _inject_last(local_model, (rows[0] - rows[1])[None], (bias[0] - bias[1])[None])
        return ResolvedTargets((AttributionTarget(label, None, 1.0),), injections)

    return TargetSpec({"kind": "difference", "more": more, "less": less}, resolve)


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

    def resolve(model: Model, local_model: LocalReplacementModel) -> ResolvedTargets:
        if direction.fingerprint != model.fingerprint:
            raise DataError(f"{direction.name} is a direction of another model than {model.name}")
        token = resolve_position(local_model, position)
        positions = torch.tensor([token], device=local_model.embeddings.device)
        vector = direction.unit.to(local_model.embeddings)[None]
        bias = vector.new_zeros(1)
        kind, layer = split_address(direction.address)
        layer = local_model.n_layers if layer is None else layer
        match kind:
            case "resid_post":
                # The stream behind a block is the stream before the next.
                layer += 1
                point = StreamPoint(layer)
            case "resid_pre":
                point = StreamPoint(layer)
            case "resid_mid" if not local_model.parallel:
                point = StreamPoint(layer, after_attention=True)
            case "mlp_in":
                # Behind a norm: moved before it, with the scale that the norm has at this token.
                point = StreamPoint.mlp_input(layer, parallel=local_model.parallel)
                vector, bias = before_norm(local_model.blocks[layer].read_norm, positions, vector, bias)
            case "final_norm":
                point = StreamPoint(local_model.n_layers)
                vector, bias = before_norm(local_model.final_norm, positions, vector, bias)
            case _:
                raise DataError(
                    f"a direction at {direction.address} cannot be traced: use one at resid_post, resid_pre, "
                    "resid_mid, mlp_in or final_norm"
                )
        target = AttributionTarget(label, None, weight, layer=layer, position=token)
        numbers = torch.full_like(positions, point.number)
        return ResolvedTargets((target,), Injections(numbers, positions, vector, bias))

    about = {"kind": "direction", "label": label, "address": direction.address, "digest": direction.digest()}
    return TargetSpec({**about, "position": position, "weight": weight}, resolve)


def feature(layer: int, position: int, latent: int) -> TargetSpec:
    """One active feature: why is it on here?

    Raises:
        DataError: when traced, if it is not active at that token.
    """

    def resolve(model: Model, local_model: LocalReplacementModel) -> ResolvedTargets:
        token = resolve_position(local_model, position)
        place = torch.tensor([layer, token, latent], device=local_model.features.device)
        active = (local_model.features == place).all(1).nonzero().flatten()
        if not len(active):
            raise DataError(
                f"feature {latent} of layer {layer} is not active at token {token}: choose one that is, from "
                "a graph of the logits"
            )
        target = AttributionTarget(f"Feature {layer}/{latent}", None, 1.0, layer=layer, position=token)
        return ResolvedTargets((target,), local_model.inject_features(active))

    return TargetSpec({"kind": "feature", "layer": layer, "position": position, "latent": latent}, resolve)


def together(*specs: TargetSpec) -> TargetSpec:
    """Several targets in one graph, each with its weight."""

    def resolve(model: Model, local_model: LocalReplacementModel) -> ResolvedTargets:
        resolved = [spec.resolve(model, local_model) for spec in specs]
        targets = tuple(target for part in resolved for target in part.targets)
        return ResolvedTargets(targets, Injections.concatenate([part.injections for part in resolved]))

    return TargetSpec({"kind": "together", "targets": [dict(spec.description) for spec in specs]}, resolve)


def resolve_position(local_model: LocalReplacementModel, position: int | None) -> int:
    """A token's position, counted from the end where negative; DataError without such a token."""
    count = local_model.n_positions
    token = count - 1 if position is None else position + count if position < 0 else position
    if not 0 <= token < count:
        raise DataError(f"there is no token {position}: the prompt has tokens 0 to {count - 1}")
    return token


def _read_logits(model: Model, local_model: LocalReplacementModel, ids: Sequence[int]) -> ResolvedTargets:
    """Chosen logits of the last token, less the mean of all; weighted by their probabilities."""
    probabilities = local_model.frozen_pass.logits.softmax(0)
    targets = tuple(
        AttributionTarget(
            f'Output "{_text(model, token)}" (p={float(probabilities[token]):.3f})',
            token,
            float(probabilities[token]),
        )
        for token in ids
    )
    return ResolvedTargets(targets, _inject_last(local_model, *centred_unembedding(model, ids)))


def _inject_last(local_model: LocalReplacementModel, vectors: Tensor, biases: Tensor) -> Injections:
    """Vectors that read behind the final norm at the last token, as readings of the stream before it."""
    last = torch.full((len(vectors),), local_model.n_positions - 1, device=vectors.device)
    vector, bias = before_norm(local_model.final_norm, last, vectors, biases)
    return Injections(torch.full_like(last, StreamPoint(local_model.n_layers).number), last, vector, bias)


def _token_id(model: Model, token: int | str) -> int:
    if isinstance(token, int):
        if not 0 <= token < model.vocab_size:
            raise DataError(f"there is no token {token}: the vocabulary has {model.vocab_size}")
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
