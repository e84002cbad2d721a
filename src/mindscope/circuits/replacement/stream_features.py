"""The latents of SAEs of the residual stream, read and written where the stream passes.

They replace nothing, so there is no graph of them. But an exchange at a token reaches all that the stream
holds there, what attention brought as well, where features of MLPs reach what these MLPs write.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from jaxtyping import Float, Int
from torch import Tensor

from mindscope.dictionaries import Dictionary, DictionaryBank
from mindscope.errors import DataError
from mindscope.models import Model

STREAM = "resid_post"


@dataclass(frozen=True, eq=False)
class StreamFeatures:
    """One SAE for each block of a model, of the stream behind it.

    Attributes:
        dictionaries: in the order of the blocks.

    Raises:
        DataError: one that is not an SAE of the stream behind its block.
    """

    dictionaries: tuple[Dictionary, ...]

    def __post_init__(self) -> None:
        for block, dictionary in enumerate(self.dictionaries):
            places = {site.address for site in (*dictionary.reads, *dictionary.writes)}
            if places != {f"{STREAM}.{block}"} or len(dictionary.wiring) != 1:
                raise DataError(
                    f"an SAE of {STREAM}.{block} is needed for block {block}, and this dictionary is of "
                    f"{', '.join(sorted(places))}: give one for each block"
                )
            if dictionary.normalisation is not None:
                raise DataError(
                    f"the SAE of {STREAM}.{block} normalises every token, so that what a latent writes has "
                    "no size of its own: it cannot be exchanged"
                )

    @classmethod
    def of(cls, dictionaries: Sequence[Dictionary]) -> "StreamFeatures":
        """SAEs in any order."""
        return cls(tuple(sorted(dictionaries, key=lambda sae: _block(sae.reads[0].address))))

    def digest(self) -> str:
        """A short name for exactly these SAEs."""
        names = " ".join(dictionary.digest() for dictionary in self.dictionaries)
        return hashlib.blake2b(names.encode(), digest_size=16).hexdigest()

    def access(self, model: Model) -> "StreamAccess":
        """How the latents are read and written in the model.

        Raises:
            DataError: they are another model's, or the model has more or fewer blocks.
        """
        if len(self.dictionaries) != model.n_layers:
            raise DataError(
                f"there are SAEs of {len(self.dictionaries)} blocks, {model.name} has {model.n_layers}: give "
                "one for each"
            )
        return StreamAccess([DictionaryBank(dictionary.bind(model)) for dictionary in self.dictionaries])

    def bound_anew(self, model: Model) -> "StreamFeatures":
        """The same of another model, one that was tuned from theirs."""
        return StreamFeatures(tuple(replace(sae, models={}).bind(model) for sae in self.dictionaries))


class StreamAccess:
    """Of the SAEs of a model's blocks; see `FeatureIO`."""

    def __init__(self, banks: Sequence[DictionaryBank]):
        self._banks = tuple(banks)
        self.writes = tuple(bank.writes[0].address for bank in banks)
        self.reads = tuple((address,) for address in self.writes)
        self.sizes = tuple(bank.n_features for bank in banks)

    def activations(
        self, layer: int, x: Float[Tensor, "tokens d_in"], latents: Int[Tensor, "k"]
    ) -> tuple[Float[Tensor, "tokens k"], Float[Tensor, "tokens k"]]:
        """See `FeatureIO.activations`."""
        bank = self._banks[layer]
        return bank.coder_values(0, bank.dictionary.inputs(x, 0), latents)

    def decoders(self, layer: int, latents: Int[Tensor, "k"]) -> dict[int, Float[Tensor, "k d_out"]]:
        """See `FeatureIO.decoders`."""
        return {layer: self._banks[layer].coder_decoders(0, latents)}

    def skip(self, layer: int) -> dict[int, Float[Tensor, "d_in d_out"]]:
        """Nothing passes beside the latents."""
        return {}


def _block(address: str) -> int:
    """The block that a stream is behind; DataError where it is another place."""
    point, _, block = address.partition(".")
    if point != STREAM:
        raise DataError(f"this dictionary reads {address}: an SAE of {STREAM}.BLOCK is needed")
    return int(block)
