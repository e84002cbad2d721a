"""What all formats share: what a reader is given, and the identities between one tool's weights and ours.

Each of them leaves the forward pass as it was:

- a bias subtracted from the input is part of the encoder's bias: W(x - b) + c = Wx + (c - Wb);
- ReLU behind a threshold, relu(p)·[p > t], is p·[p > max(t, 0)];
- a threshold on activations times decoder norms, or a selection by them, is one on activations of a
  dictionary whose decoder rows have norm 1;
- a gated SAE with its two tied encoders (arXiv 2404.16014, section 3.2) is a JumpReLU SAE.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mindscope.dictionaries.coder import Coder
from mindscope.dictionaries.dictionary import Dictionary
from mindscope.dictionaries.formats.layout import CoderWeights
from mindscope.dictionaries.kinds import Activation, Kind, Normalisation
from mindscope.errors import DataError, ModelError
from mindscope.features import Site
from mindscope.models import HookAlias, Model, address_of_hook

GATE = ("b_gate", "r_mag", "b_mag")
"""What a gated SAE has in place of one encoder bias."""


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What a file does not say, or what is to be taken in its place.

    Attributes:
        model: whose activations the dictionary reads; checks its widths and gives its fingerprint.
        reads: the address it reads, for several coders one each; a TransformerLens name will do.
        writes: the address it writes; where it reads if left out.
        k: active latents, where the file does not say.
        input_scale: what activations were multiplied by in training, where the file asks for such a factor
            and does not hold it: SAELens' `norm_scaling_factor`, which its list of releases has.
        lazy: read the coders of a cross-layer transcoder or of many transcoders when they are asked for.
    """

    model: Model | None = None
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    k: int | None = None
    input_scale: float | None = None
    lazy: bool = False


@dataclass(frozen=True, slots=True)
class DictionaryFormat:
    """How one tool keeps its dictionaries.

    Attributes:
        name: as it is declared.
        about: whose format it is.
        files: patterns of the files of a folder that make it this format: each must be there.
        read: a dictionary out of a folder or file.
        write: a dictionary into a folder, or a file where the format is one.
    """

    name: str
    about: str
    files: tuple[str, ...]
    read: Callable[[Path, ReadOptions], Dictionary]
    write: Callable[[Dictionary, Path, ReadOptions], None]


def resolve_sites(
    options: ReadOptions, read: Callable[[], HookAlias] | None, write: Callable[[], HookAlias] | None = None
) -> tuple[HookAlias, HookAlias]:
    """Where a dictionary of one coder reads and writes: what is given, else what the file declares.

    Raises:
        DataError: neither says it.
        ModelError: the declared name has no address, or not without the model.
    """
    if len(options.reads) > 1 or len(options.writes) > 1:
        raise DataError("this format holds one coder: give one address to read and one to write")
    if options.reads:
        reads = parse_address(options.reads[0], options)
        return reads, parse_address(options.writes[0], options) if options.writes else reads
    if read is None:
        raise DataError("the file does not say where it reads: give the address, such as resid_post.12")
    reads = read()
    if options.writes:
        return reads, parse_address(options.writes[0], options)
    return reads, write() if write is not None else reads


def parse_address(address: str, options: ReadOptions) -> HookAlias:
    """An address that somebody gave, or the TransformerLens name of a place."""
    return address_of_hook(address, options.model) if address.startswith("blocks.") else HookAlias(address)


def assemble(
    parts: CoderWeights,
    read: HookAlias,
    write: HookAlias,
    options: ReadOptions,
    *,
    activation: Activation,
    k: int | None = None,
    subtract: bool = False,
    normalisation: Normalisation | None = None,
    metadata: Mapping[str, Any],
) -> Dictionary:
    """A dictionary of one coder. `subtract`: its b_dec is subtracted from the (normalised) input."""
    if write.gain is not None:
        raise DataError(
            f"it writes inside the norm at {write.address}, where nothing can be added: not supported"
        )
    same = read.address == write.address and read.gain is None
    if normalisation is not None and not same:
        raise DataError(
            f"it normalises every token ({normalisation}) of {read.address} and writes {write.address}: the "
            "scale of its output is known only where it writes what it reads; not supported"
        )
    if subtract and not same:
        parts = fold_b_dec(parts)
    parts = unfold_norm(parts, read)
    sites = [Site(read.address, parts["W_enc"].shape[1]), Site(write.address, len(parts["b_dec"]))]
    dictionary = Dictionary.single(
        coder_of(parts),
        parts["b_dec"],
        reads=sites[:1],
        writes=sites[1:],
        activation=activation,
        k=k,
        apply_b_dec_to_input=subtract and same,
        metadata=metadata,
        normalisation=normalisation,
    )
    return dictionary if options.model is None else dictionary.bind(options.model)


def coder_of(parts: CoderWeights) -> Coder:
    """The coder among the parts."""
    return Coder(**{name: tensor for name, tensor in parts.items() if name != "b_dec"})


def parts_of(dictionary: Dictionary, subtracted: bool = False) -> CoderWeights:
    """The weights of a dictionary of one coder, `subtracted` or not as a format has it."""
    parts = dictionary.coder.tensors() | {"b_dec": dictionary.b_dec}
    if dictionary.apply_b_dec_to_input == subtracted:
        return parts
    return fold_b_dec(parts) if dictionary.apply_b_dec_to_input else fold_b_dec(parts, -1)


def fold_b_dec(parts: CoderWeights, sign: int = 1) -> CoderWeights:
    """With the subtraction of b_dec from the input in the encoder's bias; `sign=-1` takes it out again."""
    shift = sign * parts["W_enc"] @ parts["b_dec"]
    return parts | {"b_enc": parts["b_enc"] - shift}


def unfold_norm(parts: CoderWeights, read: HookAlias) -> CoderWeights:
    """For a dictionary that reads (h - shift) / gain: the weights that do the same to h."""
    if read.gain is None:
        return parts
    parts = parts | {"W_enc": parts["W_enc"] / read.gain}
    if "W_skip" in parts:
        parts["W_skip"] = parts["W_skip"] / read.gain[:, None]
    if read.shift is not None:
        parts["b_enc"] = parts["b_enc"] - parts["W_enc"] @ read.shift
        if "W_skip" in parts:
            parts["b_dec"] = parts["b_dec"] - read.shift @ parts["W_skip"]
    return parts


def fold_input_scale(parts: CoderWeights, scale: float) -> CoderWeights:
    """For an SAE that was trained on activations times `scale`: the weights that take them as they are."""
    return parts | {
        "W_enc": parts["W_enc"] * scale,
        "W_dec": parts["W_dec"] / scale,
        "b_dec": parts["b_dec"] / scale,
    }


def clamp_threshold(parts: CoderWeights) -> CoderWeights:
    """For tools that put a ReLU before the threshold."""
    return parts | {"threshold": parts["threshold"].clamp(min=0)}


def rescale_latents(parts: CoderWeights, factors: Tensor) -> CoderWeights:
    """With activations times `factors` `[latents]`, and decoder rows divided by them."""
    factors = torch.where(factors > 0, factors, 1)  # a latent that writes nothing stays as it is
    parts = parts | {
        "W_enc": parts["W_enc"] * factors[:, None],
        "b_enc": parts["b_enc"] * factors,
        "W_dec": parts["W_dec"] / factors[:, None],
    }
    if "threshold" in parts:
        parts["threshold"] = parts["threshold"] * factors
    return parts


def gated_to_jumprelu(parts: CoderWeights) -> CoderWeights:
    """The JumpReLU form of a gated SAE: relu(e^r (Wx) + b_mag) where Wx + b_gate > 0."""
    scale = parts["r_mag"].exp()
    threshold = (parts["b_mag"] - scale * parts["b_gate"]).clamp(min=0)
    rest = {name: tensor for name, tensor in parts.items() if name not in GATE}
    return rest | {"W_enc": parts["W_enc"] * scale[:, None], "b_enc": parts["b_mag"], "threshold": threshold}


def as_jumprelu(
    dictionary: Dictionary, parts: CoderWeights, format_: str, *, normalised: bool = False
) -> CoderWeights:
    """For formats that know JumpReLU alone. A ReLU is a threshold of 0; a TopK is none."""
    known: tuple[Activation, ...] = ("relu", "jumprelu", "batchtopk")
    require_supported(dictionary, format_, activations=known, normalised=normalised)
    if dictionary.activation == "relu":
        return parts | {"threshold": torch.zeros_like(parts["b_enc"])}
    return parts


def drop_unused_threshold(dictionary: Dictionary, parts: CoderWeights) -> CoderWeights:
    """Without a threshold that the activation does not use."""
    unused = dictionary.activation in ("relu", "topk")
    return {name: tensor for name, tensor in parts.items() if not (unused and name == "threshold")}


def require_supported(
    dictionary: Dictionary,
    format_: str,
    *,
    kinds: Sequence[Kind] = ("sae", "transcoder"),
    activations: Sequence[Activation] = ("relu", "topk", "batchtopk", "jumprelu"),
    normalised: bool = False,
) -> None:
    """Raises DataError where a format has no place for such a dictionary."""
    if dictionary.normalisation is not None and not normalised:
        raise DataError(
            f"{format_} cannot hold a dictionary that normalises every token ({dictionary.normalisation}): "
            "write it as saelens"
        )
    if dictionary.kind not in kinds:
        raise DataError(f"{format_} cannot hold a {dictionary.kind}, only {' and '.join(kinds)}")
    if dictionary.activation not in activations:
        raise DataError(
            f"{format_} cannot hold the activation {dictionary.activation}, only {', '.join(activations)}"
        )


def require_single_coder(dictionary: Dictionary, format_: str) -> None:
    """Raises DataError for the transcoders of many layers, where a format holds one."""
    if len(dictionary.wiring) > 1:
        raise DataError(f"{format_} holds one coder, this dictionary has {len(dictionary.wiring)}")


def import_metadata(format_: str, path: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """What an imported dictionary says of its origin."""
    return {"format": format_, "source": path.name, "config": dict(config)}


def original_config(dictionary: Dictionary, format_: str) -> dict[str, Any]:
    """The configuration that came with a dictionary of the same format, to be written again."""
    return dict(dictionary.metadata.get("config", {})) if dictionary.metadata.get("format") == format_ else {}


def named_or_none(name: Callable[[], str]) -> str | None:
    """A name that a format would like to have, or None where there is none."""
    try:
        return name()
    except ModelError:
        return None
