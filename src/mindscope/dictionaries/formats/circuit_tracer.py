"""circuit-tracer: a folder of `config.yaml` and one or two safetensors files a layer.

`model_kind: transcoder_set`: `layer_L.safetensors` (or the files that `transcoders` lists), each with its own
decoder. `model_kind: cross_layer_transcoder`: `W_enc_L.safetensors` and `W_dec_L.safetensors`, whose decoder
has the layers L to the last on its second axis. p = xW_encᵀ + b_enc; z is relu(p), the k largest of p, or p
where p > threshold; out = z W_dec + b_dec (+ x W_skipᵀ). `feature_input_hook` and `feature_output_hook` are
TransformerLens names without the layer.

Both are read as one dictionary with a coder for each layer. Where fewer than k pre-activations are positive,
circuit-tracer's top-k keeps negative ones, ours does not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mindscope.dictionaries.coder import Coder
from mindscope.dictionaries.dictionary import Dictionary
from mindscope.dictionaries.formats.base import (
    DictionaryFormat,
    ReadOptions,
    coder_of,
    drop_unused_threshold,
    import_metadata,
    original_config,
    parse_address,
    require_supported,
    unfold_norm,
)
from mindscope.dictionaries.formats.files import (
    read_config,
    read_weights,
    refuse_unknown,
    setting,
    write_config,
    write_weights,
)
from mindscope.dictionaries.formats.layout import CoderWeights, FileLayout, TensorEntry
from mindscope.dictionaries.kinds import Activation
from mindscope.dictionaries.lazy import LazyCoders
from mindscope.dictionaries.sites import Wiring
from mindscope.errors import DataError
from mindscope.features import Site
from mindscope.models import HookAlias, address_of_hook, hook_of_address
from mindscope.store import opened_tensors

NAME = "circuit_tracer"
CONFIG = "config.yaml"
SET, CROSS = "transcoder_set", "cross_layer_transcoder"

_TARGETS = "latents (targets width)"
TRANSCODER = FileLayout(
    (
        TensorEntry("W_enc", "W_enc", "latents d_in"),
        TensorEntry("W_dec", "W_dec", "latents d_out"),
        TensorEntry("b_enc", "b_enc", "latents"),
        TensorEntry("b_dec", "b_dec", "d_out"),
        TensorEntry("threshold", "activation_function.threshold", "latents", needed=False),
        TensorEntry("W_skip", "W_skip", "d_out d_in", needed=False),
    ),
    square=False,
)
ENCODER = FileLayout(
    (
        TensorEntry("W_enc", "W_enc_{layer}", "latents d_in"),
        TensorEntry("b_enc", "b_enc_{layer}", "latents"),
        TensorEntry("b_dec", "b_dec_{layer}", "d_out"),
        TensorEntry("threshold", "threshold_{layer}", "latents", needed=False),
    ),
    square=False,
)
DECODER = FileLayout(
    (TensorEntry("W_dec", "W_dec_{layer}", "latents targets width", ours=_TARGETS),), square=False
)


def read(path: Path, options: ReadOptions) -> Dictionary:
    """See `DictionaryFormat.read`. Addresses that are given stand for all layers, in order."""
    file = path / CONFIG
    config = read_config(file)
    kind = setting(config, file, "model_kind", str)
    if kind not in (SET, CROSS):
        raise DataError(f"{file}: model_kind {kind!r} is not supported, only {SET} and {CROSS}")
    refuse_unknown(config, file, {"activation"})
    files = _files(path, config, kind)
    heads = [_head(alias, "" if kind == SET else f"_{layer}") for layer, alias in enumerate(files)]
    reads, writes = _places(config, file, len(files), options)
    activation, k = _activation(config, file, [head.threshold for head in heads])

    def parts(layer: int) -> CoderWeights:
        if kind == SET:
            weights = TRANSCODER.take(read_weights(files[layer]), files[layer])
        else:
            decoder = path / f"W_dec_{layer}.safetensors"
            weights = ENCODER.of_layer(layer).take(read_weights(files[layer]), files[layer])
            weights |= DECODER.of_layer(layer).take(
                read_weights(decoder),
                decoder,
                latents=len(weights["b_enc"]),
                targets=len(files) - layer,
                width=len(weights["b_dec"]),
            )
        if activation != "jumprelu":
            weights.pop("threshold", None)
        return unfold_norm(weights, reads[layer])

    def coder(layer: int) -> Coder:
        return coder_of(parts(layer))

    shifted = [alias.shift is not None and head.skip for alias, head in zip(reads, heads, strict=True)]
    b_dec = [parts(layer)["b_dec"] if shifted[layer] else head.b_dec for layer, head in enumerate(heads)]
    coders = LazyCoders(len(files), coder) if options.lazy else tuple(map(coder, range(len(files))))
    dictionary = Dictionary(
        tuple(Site(alias.address, head.width) for alias, head in zip(reads, heads, strict=True)),
        tuple(Site(alias.address, len(bias)) for alias, bias in zip(writes, b_dec, strict=True)),
        tuple(
            Wiring((layer,), (layer,) if kind == SET else tuple(range(layer, len(files))), head.latents)
            for layer, head in enumerate(heads)
        ),
        coders,
        torch.cat(b_dec),
        activation,
        k,
        metadata=import_metadata(NAME, path, config),
    )
    if isinstance(coders, LazyCoders):
        coders.owner = dictionary
    return dictionary if options.model is None else dictionary.bind(options.model)


def write(dictionary: Dictionary, path: Path, options: ReadOptions) -> None:
    """See `DictionaryFormat.write`: transcoders of layers 0 and up, or one cross-layer transcoder."""
    require_supported(
        dictionary, NAME, kinds=("transcoder", "clt"), activations=("relu", "topk", "batchtopk", "jumprelu")
    )
    cross = dictionary.kind == "clt"
    if cross and dictionary.activation == "topk":
        raise DataError(f"{NAME} has no top-k in a cross-layer transcoder")
    count = len(dictionary.wiring)
    for layer, wiring in enumerate(dictionary.wiring):
        if wiring.reads != (layer,) or wiring.writes != (tuple(range(layer, count)) if cross else (layer,)):
            raise DataError(f"{NAME} wants one coder for each layer, reading it: coder {layer} is another")
    config = original_config(dictionary, NAME) | {
        "model_kind": CROSS if cross else SET,
        "feature_input_hook": _hook([site.address for site in dictionary.reads]),
        "feature_output_hook": _hook([site.address for site in dictionary.writes]),
    }
    for name in ("transcoders", "activation", "k"):
        config.pop(name, None)
    if options.model is not None:
        config["model_name"] = options.model.name
    config.setdefault("scan", path.name)
    if dictionary.activation in ("relu", "topk") and not cross:
        config["activation"] = dictionary.activation
    if dictionary.activation == "topk":
        config["k"] = dictionary.k
    widths = [site.width for site in dictionary.writes]
    for layer, (coder, b_dec) in enumerate(
        zip(dictionary.coders, dictionary.b_dec.split(widths), strict=True)
    ):
        parts = drop_unused_threshold(dictionary, coder.tensors() | {"b_dec": b_dec})
        if not cross:
            write_weights(path / f"layer_{layer}.safetensors", TRANSCODER.give(parts, NAME))
            continue
        if len(set(widths)) > 1:
            raise DataError(f"{NAME} writes as wide in every layer")
        decoder = DECODER.of_layer(layer).give({"W_dec": parts.pop("W_dec")}, NAME, targets=count - layer)
        write_weights(path / f"W_dec_{layer}.safetensors", decoder)
        write_weights(path / f"W_enc_{layer}.safetensors", ENCODER.of_layer(layer).give(parts, NAME))
    write_config(path / CONFIG, config)


@dataclass(frozen=True, slots=True)
class _LayerHeader:
    """What is known of a layer before its matrices are read."""

    width: int
    latents: int
    b_dec: Tensor
    threshold: bool
    skip: bool


def _head(path: Path, suffix: str) -> _LayerHeader:
    file, _ = opened_tensors(path)
    with file:
        keys = set(file.keys())
        if lacking := sorted({f"W_enc{suffix}", f"b_enc{suffix}", f"b_dec{suffix}"} - keys):
            raise DataError(f"{path} lacks {', '.join(lacking)}, which {NAME} needs")
        shape = file.get_slice(f"W_enc{suffix}").get_shape()
        if len(shape) != 2:
            raise DataError(f"{path}: W_enc{suffix} is {shape}, two axes are needed")
        return _LayerHeader(
            shape[1],
            file.get_slice(f"b_enc{suffix}").get_shape()[0],
            file.get_tensor(f"b_dec{suffix}").float(),
            bool(keys & {f"threshold{suffix}", "activation_function.threshold"}),
            "W_skip" in keys,
        )


def _files(path: Path, config: Mapping[str, Any], kind: str) -> list[Path]:
    """One file for each layer, from which the first axis of everything is known."""
    pattern = "layer_{}.safetensors" if kind == SET else "W_enc_{}.safetensors"
    listed = config.get("transcoders")
    if listed is None:
        count = len(list(path.glob(pattern.format("*"))))
        files = [path / pattern.format(layer) for layer in range(count)]
    else:
        if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
            raise DataError(f"{path / CONFIG}: transcoders must be a list of files")
        if remote := [name for name in listed if "://" in name]:
            raise DataError(
                f"{path / CONFIG} names files of the hub ({remote[0]}): download and list local ones"
            )
        files = [path / name for name in listed]
    for weights in files or [path / pattern.format(0)]:
        if not weights.is_file():
            raise DataError(f"{path} lacks {weights.name}, the weights of a layer")
    return files


def _places(
    config: Mapping[str, Any], file: Path, count: int, options: ReadOptions
) -> tuple[list[HookAlias], list[HookAlias]]:
    places: list[list[HookAlias]] = []
    for given, key in ((options.reads, "feature_input_hook"), (options.writes, "feature_output_hook")):
        if given and len(given) != count:
            raise DataError(f"{file.parent} has {count} layers: give as many addresses, or none")
        hook = None if given else setting(dict(config), file, key, str)
        places.append(
            [parse_address(address, options) for address in given]
            or [address_of_hook(f"blocks.{layer}.{hook}", options.model) for layer in range(count)]
        )
    if any(alias.gain is not None for alias in places[1]):
        raise DataError(f"{file}: it writes inside a norm, where nothing can be added: not supported")
    return places[0], places[1]


def _activation(
    config: Mapping[str, Any], file: Path, thresholds: list[bool]
) -> tuple[Activation, int | None]:
    if any(thresholds) and not all(thresholds):
        raise DataError(f"{file.parent}: some layers have thresholds, others have none")
    match config.get("activation"):
        case "topk":
            return "topk", setting(dict(config), file, "k", int)
        case "relu":
            return "relu", None
        case None | "jumprelu" | "jump_relu":
            return ("jumprelu" if all(thresholds) else "relu"), None
        case other:
            raise DataError(f"{file}: the activation {other!r} is not supported")


def _hook(addresses: list[str]) -> str:
    """The name that the addresses of layers 0, 1, ... have without the layer."""
    names = [hook_of_address(address).split(".", 2) for address in addresses]
    if [name[:2] for name in names] != [["blocks", str(layer)] for layer in range(len(names))]:
        raise DataError(f"{NAME} wants layers 0 to {len(names) - 1} in order, not {', '.join(addresses)}")
    if len({name[2] for name in names}) > 1:
        raise DataError(f"{NAME} reads and writes the same point of every layer, not {', '.join(addresses)}")
    return names[0][2]


FORMAT = DictionaryFormat(NAME, "circuit-tracer", (CONFIG,), read, write)
