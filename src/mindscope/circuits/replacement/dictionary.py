"""MLPs replaced by a dictionary: the transcoders of all layers, with or without a skip, or a CLT."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from mindscope.circuits.replacement.build import LayerDecoders, ReplacementCoders, build_local_model
from mindscope.circuits.replacement.feature_io import DictionaryAccess
from mindscope.circuits.replacement.layer_features import LayerFeatures
from mindscope.circuits.replacement.local_model import LocalReplacementModel
from mindscope.dictionaries import Coder, Dictionary, DictionaryBank
from mindscope.errors import DataError
from mindscope.features import SparseCode
from mindscope.models import Edit, FrozenPass, Model, Row, split_address

SAMPLED = 65_536
"""Numbers of a tensor that count in a digest."""
READS, WRITES = ("mlp_in", "resid_mid"), ("mlp_out", "mlp_out_post")


@dataclass(frozen=True, eq=False)
class DictionaryReplacement:
    """The features of a dictionary that has a coder for each layer.

    One that stays on disk is read once a prompt, coder by coder, and only what is active is kept.
    """

    dictionary: Dictionary
    _digests: dict[int, bytes] = field(default_factory=dict, init=False, repr=False)
    """Of the coders read so far."""

    def digest(self) -> str:
        """A short name for the dictionary: of its wiring, its biases, and a sample of every coder's weights.

        Computed once. A coder that stays on disk is sampled when a prompt needs it, and read for its sample
        alone if none has: `Dictionary.digest` would read and hash every weight of a CLT.
        """
        return self._digest

    @cached_property
    def _digest(self) -> str:
        dictionary = self.dictionary
        digest = hashlib.blake2b(digest_size=16)
        digest.update(repr((dictionary.wiring, dictionary.activation, dictionary.k)).encode())
        digest.update(_sample(dictionary.b_dec))
        for index in range(len(dictionary.coders)):
            if index not in self._digests:
                self._digests[index] = _digest_coder(dictionary.coders[index])
            digest.update(self._digests[index])
        return digest.hexdigest()

    def access(self, model: Model) -> DictionaryAccess:
        """See `ReplacementModel.access`."""
        dictionary = self.dictionary.bind(model)
        return DictionaryAccess(DictionaryBank(dictionary), match_layers(dictionary, model)[0])

    def freeze(
        self, model: Model, row: Row, *, skip_tokens: int | None = None, edits: Sequence[Edit] = ()
    ) -> LocalReplacementModel:
        """See `ReplacementModel.freeze`."""
        order, reads, writes = match_layers(self.dictionary, model)
        dictionary = self.dictionary.bind(model)
        biases = decoder_biases(dictionary, writes)
        # A file may list its sites in any order.
        by_layer = sorted(writes, key=layer_of)
        coders = ReplacementCoders(
            reads=[reads[order[layer]] for layer in range(model.n_layers)],
            writes=by_layer,
            encode=lambda layer, frozen_pass: self.encode(dictionary, order[layer], frozen_pass),
            decoder_bias=lambda layer: biases[by_layer[layer]],
        )
        return build_local_model(model, row, coders, skip_tokens=skip_tokens, edits=edits)

    def encode(
        self, dictionary: Dictionary, index: int, frozen_pass: FrozenPass
    ) -> tuple[LayerFeatures, LayerDecoders]:
        """What a coder of the bound dictionary makes of a pass."""
        wiring, coder = dictionary.wiring[index], dictionary.coders[index]
        if index not in self._digests:
            self._digests[index] = _digest_coder(coder)
        read = frozen_pass.activations[dictionary.reads[wiring.reads[0]].address]
        targets = [layer_of(dictionary.writes[site].address) for site in wiring.writes]
        return _encode(dictionary, coder, index, read, targets)


def decoder_biases(dictionary: Dictionary, writes: Sequence[str]) -> dict[str, Tensor]:
    """The decoder bias at each address that is written."""
    widths = [site.width for site in dictionary.writes]
    return dict(zip(writes, dictionary.b_dec.split(widths), strict=True))


def match_layers(dictionary: Dictionary, model: Model) -> tuple[list[int], list[str], list[str]]:
    """The coder of each layer, the addresses read (by coder) and written; DataError if it does not fit."""
    reads, writes = require_mlp_sites(dictionary)
    # Each layer is read by exactly one coder, and its MLP output written by at least one of those up to it.
    layers = [layer_of(reads[wiring.reads[0]]) for wiring in dictionary.wiring]
    of_model = list(range(model.n_layers))
    if any(len(wiring.reads) != 1 for wiring in dictionary.wiring) or sorted(layers) != of_model:
        raise DataError(
            f"this dictionary has {len(layers)} layers ({min(layers)} to {max(layers)}), {model.name} has "
            f"{model.n_layers}: a coder for each is needed; with `--dictionary PATH+neurons` the MLPs' own "
            "neurons stand in where there is none"
        )
    if sorted(map(layer_of, writes)) != of_model:
        raise DataError(f"this dictionary does not write the MLP output of each layer of {model.name} once")
    for layer, wiring in zip(layers, dictionary.wiring, strict=True):
        if early := [writes[site] for site in wiring.writes if layer_of(writes[site]) < layer]:
            raise DataError(f"this dictionary reads layer {layer} to write {early[0]}, which comes before it")
    by_coder = [reads[wiring.reads[0]] for wiring in dictionary.wiring]
    return [layers.index(layer) for layer in of_model], by_coder, writes


def require_mlp_sites(dictionary: Dictionary) -> tuple[list[str], list[str]]:
    """The addresses read and written; DataError where they are not an MLP's input and output."""
    if dictionary.kind not in ("transcoder", "clt"):
        raise DataError(
            f"a dictionary of kind {dictionary.kind!r} cannot replace MLPs: use transcoders or a CLT"
        )
    reads, writes = ([site.address for site in sites] for sites in (dictionary.reads, dictionary.writes))
    for names, known in ((reads, READS), (writes, WRITES)):
        for name in names:
            if split_address(name)[0] not in known:
                raise DataError(
                    f"this dictionary has {name}; what replaces MLPs reads {' or '.join(READS)} and writes "
                    f"{' or '.join(WRITES)}"
                )
    return reads, writes


def _digest_coder(coder: Coder) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(coder.tensors().items()):
        digest.update(name.encode() + _sample(tensor))
    return digest.digest()


def _sample(tensor: Tensor) -> bytes:
    """Numbers from all over a tensor, rounded, so that it is the same in any type that holds them."""
    flat = tensor.detach().flatten()
    sample = flat[:: max(1, len(flat) // SAMPLED)].to("cpu", torch.bfloat16)
    return sample.contiguous().view(torch.int16).numpy().tobytes()


def layer_of(address: str) -> int:
    """The layer of a place that is read or written."""
    layer = split_address(address)[1]
    assert layer is not None  # all points that are read or written have a layer
    return layer


def _encode(
    dictionary: Dictionary, coder: Coder, index: int, x: Tensor, targets: list[int]
) -> tuple[LayerFeatures, LayerDecoders]:
    """What coder `index` makes of the tokens it reads; keeps only the rows of active latents."""
    if coder.W_enc.dtype != torch.float32 or coder.W_enc.device != x.device:
        coder = coder.to(x.device, torch.float32)  # checks all weights again: only where it must be
    code: SparseCode = coder.encode(x, dictionary.activation, dictionary.k)
    tokens, latents, values = code.tokens, code.indices, code.values
    # By token, then by latent; and of each latent that is on anywhere, its rows once.
    order = (tokens * coder.n_latents + latents).argsort()
    tokens, latents, values = tokens[order], latents[order], values[order]
    active, row_of = latents.unique(return_inverse=True)
    W_enc, b_enc = coder.W_enc[active], coder.b_enc[active]
    widths = [dictionary.writes[site].width for site in dictionary.wiring[index].writes]
    # Of a CLT, W_dec holds one block of columns per layer written: latents x (layers * d_model).
    # Each block is gathered on its own, so that it can be let go of on its own.
    decoders = [block[active] for block in coder.W_dec.split(widths, dim=1)]
    skips = {} if coder.W_skip is None else dict(zip(targets, coder.W_skip.split(widths, dim=1), strict=True))
    features = LayerFeatures(
        tokens,
        latents,
        values,
        values,
        lambda entries: (W_enc[row_of[entries]], b_enc[row_of[entries]]),
        skips,
    )
    return features, {target: (rows, row_of) for target, rows in zip(targets, decoders, strict=True)}
