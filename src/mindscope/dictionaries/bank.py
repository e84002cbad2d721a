"""The latents of a dictionary as a bank of features."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mindscope.dictionaries.coder import ENCODED_AT_ONCE, Coder
from mindscope.dictionaries.dictionary import Dictionary
from mindscope.dictionaries.lazy import LazyCoders
from mindscope.errors import DataError
from mindscope.features import BankFeature, Site, SparseCode, join_fingerprints


@dataclass(frozen=True, eq=False)
class DictionaryBank:
    """The latents of a dictionary that is bound to its models.

    Two banks of the same dictionary object are the same bank.

    Raises:
        DataError: nobody knows whose dictionary it is.
    """

    dictionary: Dictionary
    _rows: dict[int, tuple[Tensor, "_EncoderRows"]] = field(default_factory=dict, init=False, repr=False)
    """By coder the latents that were asked for last, and their rows: a pass asks for the same again."""
    _splits: dict[int, "DictionaryBank"] = field(default_factory=dict, init=False, repr=False)
    _moved: dict[tuple[int, torch.device], Coder] = field(default_factory=dict, init=False, repr=False)
    signed = False

    def __post_init__(self) -> None:
        if None in self.dictionary.models.values():
            raise DataError("nobody knows whose dictionary this is: bind it to its model with .bind(model)")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DictionaryBank) and other.dictionary is self.dictionary

    def __hash__(self) -> int:
        return id(self.dictionary)

    @property
    def n_features(self) -> int:
        return self.dictionary.n_latents

    @property
    def reads(self) -> tuple[Site, ...]:
        return self.dictionary.reads

    @property
    def writes(self) -> tuple[Site, ...]:
        return self.dictionary.writes

    @property
    def models(self) -> dict[str, str]:
        return {name: str(fingerprint) for name, fingerprint in self.dictionary.models.items()}

    @property
    def fingerprint(self) -> str:
        return join_fingerprints(self.models.values())

    def name(self, feature: int) -> str:
        coder, row = self.dictionary.locate(feature)
        read = self.dictionary.reads[self.dictionary.wiring[coder].reads[0]]
        return f"{read.name}/{row}"

    def digest(self) -> str:
        return self.dictionary.digest()

    def feature(self, latent: int) -> BankFeature:
        """One latent as a feature. Of several coders it reads what its own coder reads.

        Raises:
            DataError: there is no such latent, or it is dead.
        """
        index, row = self.dictionary.locate(latent)
        self.dictionary.latent(latent)
        return BankFeature(self._split(index), row, f"latent {latent}")

    def encode(self, activations: Float[Tensor, "tokens d_in"]) -> SparseCode:
        """Which latents are active on each token, over all coders."""
        return self.dictionary.encode(activations.to(self.dictionary.b_dec.device))

    def values(
        self, activations: Float[Tensor, "tokens d_in"], features: Sequence[int]
    ) -> Float[Tensor, "tokens k"]:
        """Some latents on every token. Those of a TopK dictionary compete: all of their coder are encoded."""
        table = activations.new_zeros(len(activations), len(features), dtype=torch.float32)
        chosen = torch.tensor(list(features), dtype=torch.int64)
        for index in range(len(self.dictionary.wiring)):
            latents = self.dictionary.latents(index)
            inside = (chosen >= latents.start) & (chosen < latents.stop)
            if inside.any():
                x = self.dictionary.inputs(activations.float(), index)
                _, active = self.coder_values(index, x, chosen[inside] - latents.start)
                table[:, inside.nonzero()[:, 0].to(table.device)] = active.to(table)
        return table

    def coder_values(
        self, index: int, x: Float[Tensor, "tokens width"], latents: Int[Tensor, "k"]
    ) -> tuple[Float[Tensor, "tokens k"], Float[Tensor, "tokens k"]]:
        """Pre-activations and activations of some latents of one coder.

        Args:
            index: of the coder.
            x: what it sees, see `Dictionary.inputs`.
            latents: counted within the coder.
        """
        if self.dictionary.activation == "topk":  # whether a latent is active depends on all the others
            coder = self._coder_on(index, x.device)
            own, pairs = latents.to(x.device), []
            for piece in x.split(max(1, ENCODED_AT_ONCE // coder.n_latents)) or (x,):
                dense = coder.preactivations(piece)
                code = coder.activate(dense, "topk", self.dictionary.k)
                pairs.append((dense[:, own], code.columns(own)))
            return torch.cat([pair[0] for pair in pairs]), torch.cat([pair[1] for pair in pairs])
        rows = self._encoder_rows(index, latents.cpu()).to(x.device)
        preactivations = x @ rows.weight.T + rows.bias
        return preactivations, preactivations * (preactivations > rows.threshold)

    def coder_decoders(self, index: int, latents: Int[Tensor, "k"]) -> Float[Tensor, "k d_out"]:
        """Decoder rows of some latents of one coder, for all the sites it writes side by side."""
        rows = self.dictionary.coders[index].W_dec
        return rows[latents.to(rows.device)].float()

    def decoder_rows(self, features: Sequence[int] | None = None) -> dict[Site, Float[Tensor, "k _"]]:
        """See `FeatureBank.decoder_rows`."""
        chosen = torch.arange(self.n_features) if features is None else torch.tensor(list(features))
        tables = {site: torch.zeros(len(chosen), site.width) for site in self.dictionary.writes}
        for index, wiring in enumerate(self.dictionary.wiring):
            latents = self.dictionary.latents(index)
            inside = (chosen >= latents.start) & (chosen < latents.stop)
            if not inside.any():
                continue
            rows = self.coder_decoders(index, chosen[inside] - latents.start).detach().cpu()
            sites = [self.dictionary.writes[number] for number in wiring.writes]
            for site, part in zip(sites, rows.split([site.width for site in sites], dim=1), strict=True):
                tables[site][inside] = part
        return tables

    def _split(self, index: int) -> "DictionaryBank":
        """The bank of one coder; this very bank where there is no other."""
        if len(self.dictionary.wiring) == 1:
            return self
        if index not in self._splits:
            self._splits[index] = DictionaryBank(split_coder(self.dictionary, index))
        return self._splits[index]

    def _coder_on(self, index: int, device: torch.device) -> Coder:
        """A coder in float32 where the activations are. Moving checks all weights: it is done once."""
        coder = self.dictionary.coders[index]
        if (coder.W_enc.device, coder.W_enc.dtype) == (device, torch.float32):
            return coder
        if isinstance(self.dictionary.coders, LazyCoders):  # of which none is kept
            return coder.to(device, torch.float32)
        if (index, device) not in self._moved:
            self._moved[index, device] = coder.to(device, torch.float32)
        return self._moved[index, device]

    def _encoder_rows(self, index: int, latents: Tensor) -> "_EncoderRows":
        kept = self._rows.get(index)
        if kept is None or not torch.equal(kept[0], latents):
            coder = self.dictionary.coders[index]
            rows = _EncoderRows.of(coder, latents, relu=self.dictionary.activation == "relu")
            kept = self._rows[index] = (latents, rows)
        return kept[1]


@dataclass(frozen=True, slots=True, eq=False)
class _EncoderRows:
    """What some latents need to be told by themselves: active where x . weight + bias > threshold."""

    weight: Float[Tensor, "k width"]
    bias: Float[Tensor, "k"]
    threshold: Float[Tensor, "k"]

    @classmethod
    def of(cls, coder: Coder, latents: Tensor, *, relu: bool) -> "_EncoderRows":
        own = latents.to(coder.W_enc.device)
        bias = coder.b_enc[own].float()
        threshold = (
            torch.zeros_like(bias) if relu or coder.threshold is None else coder.threshold[own].float()
        )
        return cls(coder.W_enc[own].float(), bias, threshold)

    def to(self, device: torch.device) -> "_EncoderRows":
        return _EncoderRows(self.weight.to(device), self.bias.to(device), self.threshold.to(device))


def split_coder(dictionary: Dictionary, index: int) -> Dictionary:
    """One coder of a dictionary as a dictionary of its own, with the sites that it reads and writes."""
    wiring, coder = dictionary.wiring[index], dictionary.coders[index]
    reads, writes = dictionary.columns(index, "reads"), dictionary.columns(index, "writes")
    if dictionary.apply_b_dec_to_input:  # x - b_dec is read: the same as another encoder bias
        centre = torch.cat([dictionary.b_dec[columns] for columns in reads])
        coder = replace(coder, b_enc=coder.b_enc - coder.W_enc @ centre)
    return Dictionary.single(
        coder,
        torch.cat([dictionary.b_dec[columns] for columns in writes]),
        reads=[dictionary.reads[number] for number in wiring.reads],
        writes=[dictionary.writes[number] for number in wiring.writes],
        activation=dictionary.activation,
        k=dictionary.k,
        metadata=dictionary.metadata,
        models=dictionary.models,
        made_with=dictionary.made_with,
    )
