"""A dictionary: what is read at addresses becomes a sparse code, which is written at addresses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.core import ModelIdentity
from mindscope.dictionaries.coder import Coder
from mindscope.dictionaries.fit import require_parts_fit
from mindscope.dictionaries.kinds import Activation, Kind, Normalisation
from mindscope.dictionaries.lazy import LazyCoders
from mindscope.dictionaries.normalisation import normalise_tokens, restore_tokens
from mindscope.dictionaries.sites import Latent, Wiring, split_row
from mindscope.dictionaries.weight_digest import digest_dictionary
from mindscope.errors import DataError
from mindscope.features import Engines, Site, SparseCode, match_models


@dataclass(frozen=True)
class Dictionary:
    """Reads at addresses → a sparse code → writes at addresses.

    An SAE reads and writes one site. A transcoder reads `mlp_in.l` and writes `mlp_out.l`, with `W_skip` also
    linearly. A crosscoder has one coder that reads and writes several sites, of one model or of several. A
    cross-layer transcoder has a coder per layer, which reads its layer and writes that one and every later;
    where each writes its own layer alone, they are the transcoders of all layers in one.

    Activations are `[tokens, d_in]`: the reads side by side, in the order of `reads` (`join` makes them of
    single ones); reconstructions are `[tokens, d_out]` in the order of `writes` (`split` takes them apart).
    The latents of all coders count through. Activations are taken as the model has them: whatever training
    normalised all tokens by is in the weights, and `normalisation` is done to each token and undone again.

    Raises:
        DataError: sites, wiring and weights that do not fit each other, NaN, or nothing but dead latents.
    """

    reads: tuple[Site, ...]
    writes: tuple[Site, ...]
    wiring: tuple[Wiring, ...]
    coders: tuple[Coder, ...] | LazyCoders
    """One per wiring. A dictionary that was loaded with `lazy=True` reads them from disk when asked."""
    b_dec: Float[Tensor, "d_out"]
    activation: Activation
    k: int | None = None
    """Active latents per token and coder (`topk`), or on the mean of a training batch (`batchtopk`)."""
    apply_b_dec_to_input: bool = False
    """Whether `b_dec` is subtracted from what is read; only where reads and writes are the same sites."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Provenance: training configuration, statistics, where it was imported from."""
    normalisation: Normalisation | None = None
    """What a published SAE does to every token before it reads it; undone at the reconstruction. Activations
    and decoder rows are in units of the normalised token."""
    models: Mapping[str, str | None] = field(default_factory=dict)
    """Whose sites these are: the models' fingerprints by the names that sites have. None where a published
    file does not say, until `bind`."""
    made_with: Mapping[str, ModelIdentity] = field(default_factory=dict)
    """The identities of the models that it was trained on, by name, where they are written down or `models`
    are others: see `bind`."""

    def __post_init__(self) -> None:
        names = dict.fromkeys(site.model for site in (*self.reads, *self.writes))
        object.__setattr__(self, "models", {name: self.models.get(name) for name in names})
        require_parts_fit(self)

    @classmethod
    def single(
        cls,
        coder: Coder,
        b_dec: Float[Tensor, "d_out"],
        *,
        reads: Sequence[Site],
        writes: Sequence[Site],
        activation: Activation,
        k: int | None = None,
        apply_b_dec_to_input: bool = False,
        metadata: Mapping[str, Any] | None = None,
        normalisation: Normalisation | None = None,
        models: Mapping[str, str | None] | None = None,
        made_with: Mapping[str, ModelIdentity] | None = None,
    ) -> "Dictionary":
        """A dictionary of one coder that reads and writes all sites: SAE, transcoder or crosscoder."""
        wiring = Wiring(tuple(range(len(reads))), tuple(range(len(writes))), coder.n_latents)
        return cls(
            tuple(reads), tuple(writes), (wiring,), (coder,), b_dec, activation, k, apply_b_dec_to_input,
            metadata or {}, normalisation, models or {}, made_with or {},
        )  # fmt: skip

    @property
    def kind(self) -> Kind:
        if len(self.wiring) > 1:
            return "clt" if any(len(wiring.writes) > 1 for wiring in self.wiring) else "transcoder"
        if len(self.reads) == len(self.writes) == 1:
            return "sae" if self.reads == self.writes else "transcoder"
        return "crosscoder"

    @property
    def n_latents(self) -> int:
        return sum(wiring.n_latents for wiring in self.wiring)

    @property
    def d_in(self) -> int:
        return sum(site.width for site in self.reads)

    @property
    def d_out(self) -> int:
        return sum(site.width for site in self.writes)

    @property
    def coder(self) -> Coder:
        """The only coder; DataError where there are several."""
        if len(self.wiring) > 1:
            raise DataError(f"this {self.kind} has {len(self.wiring)} coders: choose one of .coders")
        return self.coders[0]

    def columns(self, index: int, side: Literal["reads", "writes"]) -> list[slice]:
        """Where the sites of coder `index` are among the columns of `[tokens, d_in]` or `[tokens, d_out]`."""
        sites = self.reads if side == "reads" else self.writes
        ends = list(accumulate(site.width for site in sites))
        used = self.wiring[index].reads if side == "reads" else self.wiring[index].writes
        return [slice(ends[i] - sites[i].width, ends[i]) for i in used]

    def latents(self, index: int) -> range:
        """The latents of coder `index`, counted through."""
        start = sum(wiring.n_latents for wiring in self.wiring[:index])
        return range(start, start + self.wiring[index].n_latents)

    def locate(self, latent: int) -> tuple[int, int]:
        """The coder of a latent, and the latent's row in it."""
        if not 0 <= latent < self.n_latents:
            raise DataError(f"there is no latent {latent}: this dictionary has 0 to {self.n_latents - 1}")
        index = 0
        while latent >= self.wiring[index].n_latents:
            latent -= self.wiring[index].n_latents
            index += 1
        return index, latent

    def decoder(self, index: int, write: int) -> Float[Tensor, "latents width"]:
        """The decoder rows of coder `index` for the site `writes[write]`."""
        wiring = self.wiring[index]
        if write not in wiring.writes:
            raise DataError(f"coder {index} does not write {self.writes[write].address}")
        widths = [self.writes[i].width for i in wiring.writes]
        return self.coders[index].W_dec.split(widths, dim=1)[wiring.writes.index(write)]

    def join(self, activations: Sequence[Float[Tensor, "tokens _"]]) -> Float[Tensor, "tokens d_in"]:
        """What was read at the single sites, side by side."""
        return torch.cat(list(activations), dim=1)

    def split(self, written: Float[Tensor, "tokens d_out"]) -> tuple[Float[Tensor, "tokens _"], ...]:
        """A reconstruction, one tensor per site of `writes`."""
        return written.split([site.width for site in self.writes], dim=1)

    def inputs(self, x: Float[Tensor, "tokens d_in"], index: int) -> Float[Tensor, "tokens width"]:
        """What coder `index` sees of the activations."""
        if x.shape[1] != self.d_in:
            raise DataError(f"activations are {x.shape[1]} wide, this dictionary reads {self.d_in}")
        if self.normalisation is not None:
            x = normalise_tokens(x, self.normalisation)
        if self.apply_b_dec_to_input:
            x = x - self.b_dec.to(x)
        columns = self.columns(index, "reads")
        return x if len(columns) == len(self.reads) else torch.cat([x[:, part] for part in columns], dim=1)

    def preactivations(
        self, x: Float[Tensor, "tokens d_in"], index: int = 0
    ) -> Float[Tensor, "tokens latents"]:
        """Dense pre-activations of the latents of coder `index`."""
        return self.coders[index].preactivations(self.inputs(x, index))

    def encode(self, x: Float[Tensor, "tokens d_in"]) -> SparseCode:
        """Which latents are active on each token, over all coders."""
        return SparseCode.joined(
            [
                coder.encode(self.inputs(x, index), self.activation, self.k)
                for index, coder in enumerate(self.coders)
            ]
        )

    def decode(self, code: SparseCode) -> Float[Tensor, "tokens d_out"]:
        """What a code writes: decoder rows times activations, and b_dec. `skip` is not in it.

        Of a dictionary that normalises tokens it is in units of the normalised token; see `reconstruct`.
        """
        written = self.b_dec.repeat(len(code), 1)
        for index, coder in enumerate(self.coders):
            latents = self.latents(index)
            rows = coder.decode(code.of_latents(latents.start, latents.stop))
            written = self._added(written, rows, index)
        return written

    def skip(self, x: Float[Tensor, "tokens d_in"]) -> Float[Tensor, "tokens d_out"]:
        """The linear path of a skip transcoder; zeros for other dictionaries."""
        written = x.new_zeros(len(x), self.d_out)
        for index, coder in enumerate(self.coders):
            if coder.W_skip is not None:
                read = torch.cat([x[:, part] for part in self.columns(index, "reads")], dim=1)
                written = self._added(written, read.to(coder.W_skip.dtype) @ coder.W_skip, index)
        return written

    def reconstruct(self, x: Float[Tensor, "tokens d_in"], code: SparseCode) -> Float[Tensor, "tokens d_out"]:
        """What is written for activations whose code this is: `decode`, `skip`, normalisation undone."""
        written = self.decode(code)
        if any(coder.W_skip is not None for coder in self.coders):
            written = written + self.skip(x)
        return written if self.normalisation is None else restore_tokens(written, x, self.normalisation)

    def __call__(self, x: Float[Tensor, "tokens d_in"]) -> Float[Tensor, "tokens d_out"]:
        """The reconstruction of what is written, from what is read."""
        return self.reconstruct(x, self.encode(x))

    def latent(self, latent: int) -> Latent:
        """One latent as directions. DataError where the model is unknown (see `bind`) or the latent dead."""
        index, row = self.locate(latent)
        coder, wiring = self.coders[index], self.wiring[index]
        name = f"latent {latent}"
        reads = split_row(name, coder.W_enc[row], [self.reads[i] for i in wiring.reads], self.models)
        writes = split_row(name, coder.W_dec[row], [self.writes[i] for i in wiring.writes], self.models)
        if not reads or not writes:
            raise DataError(f"latent {latent} is dead: it reads or writes nothing")
        threshold = 0.0 if coder.threshold is None else float(coder.threshold[row])
        return Latent(latent, reads, writes, float(coder.b_enc[row]), threshold)

    def bind(self, models: Engines) -> "Dictionary":
        """Check that the sites fit the models, and write down whose they are where that was not known.

        For a model that takes what was made with its base (`Model.vectors_of_base`) the dictionary becomes
        one of that model. It keeps its digest, and saved again it still belongs to those it was trained on.

        Args:
            models: the model, or every model that the dictionary has sites of; see `match_models`.

        Raises:
            DataError: a model is missing or another one, or has another width at a site.
            ModelError: an address leads nowhere in its model.
        """
        named = match_models(self.models, models, "this dictionary was trained on", self.made_with)
        for site in (*self.reads, *self.writes):
            model = named[site.model]
            width = model.width_of(site.address)
            if site.width != width:
                raise DataError(
                    f"this dictionary has {site.width} numbers at {site.address}, {model.name} has {width} "
                    "there: use the model it was trained on"
                )
        makers = {
            name: ModelIdentity(fingerprint=fingerprint)
            for name, fingerprint in self.models.items()
            if fingerprint not in (None, named[name].fingerprint)
        }
        return replace(
            self,
            models={name: model.fingerprint for name, model in named.items()},
            made_with=makers | dict(self.made_with),
        )

    @property
    def trained_on(self) -> dict[str, str | None]:
        """The fingerprints of the models that it was trained on, by name; None where nobody knows."""
        makers = {name: maker.fingerprint for name, maker in self.made_with.items()}
        return dict(self.models) | makers

    def digest(self) -> str:
        """A short name for exactly these weights at these sites; computed once."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        return digest_dictionary(self)

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "Dictionary":
        """With its weights on this device and in this type; lazily read coders stay on disk."""
        coders = (
            self.coders.mapped(lambda coder: coder.to(device, dtype))
            if isinstance(self.coders, LazyCoders)
            else tuple(coder.to(device, dtype) for coder in self.coders)
        )
        return replace(self, coders=coders, b_dec=self.b_dec.to(device, dtype))

    def save(self, path: Path | str, dtype: torch.dtype | None = None) -> None:
        """One `.safetensors` file, or for several coders a folder with a file for each; atomically.

        Matrices are kept in `dtype`; by default in the type that they have.
        """
        from mindscope.dictionaries.storage import save

        save(self, Path(path), dtype)

    @classmethod
    def load(
        cls,
        path: Path | str,
        models: Engines | None = None,
        *,
        lazy: bool = False,
        dtype: torch.dtype | None = torch.float32,
    ) -> "Dictionary":
        """Read what `save` wrote; given models, refuse the dictionary of any other.

        Args:
            path: of the file or folder.
            models: whose activations it is to read; see `bind`.
            lazy: read a coder from disk each time it is asked for, and keep none.
            dtype: of the weights in memory. None: as they are on disk.

        Raises:
            StoreError: absent, cut short, of another schema, or holding NaN.
            DataError: of another model or width, weights that do not fit, or nothing but dead latents.
        """
        from mindscope.dictionaries.storage import load

        dictionary = load(Path(path), lazy=lazy, dtype=dtype)
        return dictionary if models is None else dictionary.bind(models)

    def _added(self, written: Tensor, rows: Tensor, index: int) -> Tensor:
        columns = self.columns(index, "writes")
        if len(columns) == len(self.writes):
            return written + rows
        widths = [place.stop - place.start for place in columns]
        for place, part in zip(columns, rows.split(widths, dim=1), strict=True):
            written[:, place] += part
        return written
