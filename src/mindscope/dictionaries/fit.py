"""Whether the parts of a dictionary fit each other: sites, wiring, weights and how tokens are normalised."""

from typing import TYPE_CHECKING, get_args

from mindscope.dictionaries.coder import ACTIVATIONS, Coder
from mindscope.dictionaries.kinds import Normalisation
from mindscope.errors import DataError

if TYPE_CHECKING:
    from mindscope.dictionaries.dictionary import Dictionary

NORMALISATIONS: tuple[Normalisation, ...] = get_args(Normalisation)


def require_parts_fit(dictionary: "Dictionary") -> None:
    """Check a dictionary as a whole, and the coders that are in memory.

    Raises:
        DataError: sites, wiring, weights and settings that do not fit each other, or NaN.
    """
    activation, normalisation, b_dec = dictionary.activation, dictionary.normalisation, dictionary.b_dec
    if activation not in ACTIVATIONS:
        raise DataError(f"unknown activation {activation!r}: use one of {', '.join(ACTIVATIONS)}")
    if activation == "topk" and not (dictionary.k and dictionary.k > 0):
        raise DataError("a topk dictionary needs k, the number of active latents")
    if b_dec.shape != (dictionary.d_out,) or not b_dec.isfinite().all():
        raise DataError(f"b_dec must be {dictionary.d_out} finite numbers, one for each that is written")
    if dictionary.apply_b_dec_to_input and dictionary.reads != dictionary.writes:
        raise DataError("b_dec can be subtracted from the input only where it is of the sites that are read")
    if normalisation is not None and (normalisation not in NORMALISATIONS or dictionary.kind != "sae"):
        raise DataError(
            f"the normalisation {normalisation!r} of a {dictionary.kind} is not known: an sae may have "
            f"one of {', '.join(NORMALISATIONS)}"
        )
    coders, wiring = dictionary.coders, dictionary.wiring
    if len(coders) != len(wiring) or not wiring:
        raise DataError(f"{len(coders)} coders with {len(wiring)} wirings: one each is needed")
    if isinstance(coders, tuple):  # lazily read coders are checked when they are read
        for index, coder in enumerate(coders):
            require_coder_fits(dictionary, index, coder)


def require_coder_fits(dictionary: "Dictionary", index: int, coder: Coder) -> None:
    """Raises DataError unless these weights fit the wiring of coder `index`."""
    wiring, activation = dictionary.wiring[index], dictionary.activation
    for name, sites, used, width in (
        ("W_enc", dictionary.reads, wiring.reads, coder.W_enc.shape[1]),
        ("W_dec", dictionary.writes, wiring.writes, coder.W_dec.shape[1]),
    ):
        expected = sum(sites[i].width for i in used)
        if width != expected:
            where = ", ".join(sites[i].address for i in used)
            raise DataError(f"{name} is {width} wide, {where} is {expected} wide: it is of another model")
    if coder.n_latents != wiring.n_latents:
        raise DataError(f"coder {index} has {coder.n_latents} latents, {wiring.n_latents} are announced")
    if activation in ("jumprelu", "batchtopk") and coder.threshold is None:
        raise DataError(f"a {activation} dictionary needs a threshold per latent")
