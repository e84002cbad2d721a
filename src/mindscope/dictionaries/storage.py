"""Dictionaries on disk: one artefact, or a folder with one for each coder, which can be read one by one."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mindscope.core import ModelIdentity
from mindscope.dictionaries.coder import Coder
from mindscope.dictionaries.dictionary import Dictionary
from mindscope.dictionaries.lazy import LazyCoders
from mindscope.dictionaries.sites import Wiring
from mindscope.dictionaries.weight_digest import digest_tensors
from mindscope.errors import DataError, StoreError
from mindscope.features import Site
from mindscope.store import load_artifact, local_copy, save_artifact

SCHEMA, VERSION = "mindscope.dictionary", 3
"""Version 1 had a fingerprint at every site in place of the models by name, version 2 no normalisation and no
identities of the models."""
CODER_SCHEMA, CODER_VERSION = "mindscope.dictionary_coder", 1
SIDES = ("reads", "writes")
HEAD = "dictionary.safetensors"
"""The file of a folder that says what the others are; written last."""


def save(dictionary: Dictionary, path: Path, dtype: torch.dtype | None = None) -> None:
    """See `Dictionary.save`."""
    if dtype is not None and not dtype.is_floating_point:
        raise StoreError(f"weights cannot be kept as {dtype}: use a floating type, such as torch.bfloat16")
    config = {
        "reads": [asdict(site) for site in dictionary.reads],
        "writes": [asdict(site) for site in dictionary.writes],
        "wiring": [asdict(wiring) for wiring in dictionary.wiring],
        "activation": dictionary.activation,
        "k": dictionary.k,
        "apply_b_dec_to_input": dictionary.apply_b_dec_to_input,
        "normalisation": dictionary.normalisation,
    }
    metadata: dict[str, Any] = {
        "fingerprint": dictionary.trained_on[dictionary.reads[0].model],
        "models": dictionary.trained_on,
        "made_with": {name: maker.model_dump(mode="json") for name, maker in dictionary.made_with.items()},
        "config": config,
        "about": dict(dictionary.metadata),
    }
    tensors: dict[str, Tensor] = {"b_dec": dictionary.b_dec}
    if len(dictionary.wiring) == 1:
        if path.suffix != ".safetensors":
            raise StoreError(f"{path} must end in .safetensors: this dictionary is one file")
        tensors |= _narrowed(dictionary.coder, dtype)
    else:
        if path.suffix:
            raise StoreError(f"{path} must be a folder: this dictionary has {len(dictionary.wiring)} coders")
        digests = []
        for index, coder in enumerate(dictionary.coders):
            narrowed = _narrowed(coder, dtype)
            digests.append(digest_tensors(narrowed))
            save_artifact(
                path / _name(index),
                narrowed,
                schema=CODER_SCHEMA,
                version=CODER_VERSION,
                metadata={"fingerprint": metadata["fingerprint"], "digest": digests[-1]},
            )
        metadata["coders"] = digests
        path = path / HEAD
    save_artifact(path, tensors, schema=SCHEMA, version=VERSION, metadata=metadata)


def load(path: Path, *, lazy: bool, dtype: torch.dtype | None) -> Dictionary:
    """See `Dictionary.load`."""
    path = local_copy(path)
    folder = path if path.is_dir() else None
    artifact = load_artifact(path / HEAD if folder else path, schema=SCHEMA, version=VERSION)
    try:
        config = artifact.metadata["config"]
        models = artifact.metadata.get("models") or {}
        if artifact.metadata["version"] == 1:
            models = name_fingerprints([site["fingerprint"] for side in SIDES for site in config[side]])
        reads, writes = (tuple(read_site(site, models) for site in config[side]) for side in SIDES)
        wiring = tuple(
            Wiring(tuple(coder["reads"]), tuple(coder["writes"]), coder["n_latents"])
            for coder in config["wiring"]
        )
        b_dec = artifact.tensors.pop("b_dec").to(dtype=dtype)
        if folder:
            stored = _stored(folder, artifact.metadata["coders"], dtype)
            coders = stored if lazy else tuple(stored)
        else:
            coders = (Coder(**artifact.tensors).to(dtype=dtype),)
        dictionary = Dictionary(
            reads, writes, wiring, coders, b_dec, config["activation"], config["k"],
            config["apply_b_dec_to_input"], artifact.metadata["about"], config.get("normalisation"), models,
            read_identities(artifact.metadata.get("made_with")),
        )  # fmt: skip
    except (KeyError, TypeError, IndexError, AttributeError, ValueError, RuntimeError) as error:
        raise StoreError(f"{path} does not describe a dictionary ({error}): save it again") from None
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    if isinstance(coders, LazyCoders):
        coders.owner = dictionary
    return dictionary


def name_fingerprints(fingerprints: Sequence[str | None]) -> dict[str, str | None]:
    """Models that a file of an earlier version knows by their fingerprints alone, as `0`, `1`, …"""
    return {str(number): fingerprint for number, fingerprint in enumerate(dict.fromkeys(fingerprints))}


def read_identities(document: Mapping[str, Any] | None) -> dict[str, ModelIdentity]:
    """The identities of models by name; none in a file of an earlier version."""
    return {name: ModelIdentity.model_validate(maker) for name, maker in (document or {}).items()}


def read_site(document: Mapping[str, Any], models: Mapping[str, str | None]) -> Site:
    """A site as this or an earlier version wrote it."""
    if "model" in document:
        return Site(**document)
    names = {fingerprint: name for name, fingerprint in models.items()}
    return Site(document["address"], document["width"], names[document["fingerprint"]])


def _stored(folder: Path, digests: Sequence[str], dtype: torch.dtype | None) -> LazyCoders:
    """The coders of a folder, which stay there until they are asked for."""

    def read(index: int) -> Coder:
        path = folder / _name(index)
        artifact = load_artifact(path, schema=CODER_SCHEMA, version=CODER_VERSION)
        if artifact.metadata.get("digest") != digests[index]:
            raise StoreError(f"{path} belongs to another dictionary than {folder / HEAD}: copy both again")
        return Coder(**artifact.tensors).to(dtype=dtype)

    return LazyCoders(len(digests), read)


def _narrowed(coder: Coder, dtype: torch.dtype | None) -> dict[str, Tensor]:
    """The weights with their matrices in this type. Biases and thresholds are few: they stay as they are."""
    return {
        name: tensor.to(dtype) if tensor.ndim == 2 and dtype is not None else tensor
        for name, tensor in coder.tensors().items()
    }


def _name(index: int) -> str:
    return f"coder_{index:03}.safetensors"
