"""Edits as changed weights: additions become biases, ablations orthogonalised matrices, the rest is refused.

What can be held is what happens to every token alike, for a checkpoint knows no prompt and no answer:

1. `h + c v` at an address: `c v / factor` is added to the bias of a module that writes there. A module
   without one gets it where the configuration has a switch for it (`mlp_bias` of a Llama); which switch
   gives which module a bias is found by building the model's skeleton with each of them.
2. `h - (h . v^) v^` wherever the stream is written: every matrix that writes there loses the direction,
   `W - v^ v^T W`, with the biases, and so do the token and position tables (weight orthogonalization, Arditi
   et al. 2024, arXiv 2406.11717). A tied unembedding keeps its old values and is untied, for it reads and
   does not write.
3. `cap`, `clamp` and `replace` are not linear in what the weights produce and are refused.

Nothing here decides whether the result is right: `compare_checkpoint` runs the written checkpoint in plain
transformers and holds it against the steered model.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from mindscope.errors import ModelError
from mindscope.models.baking.llama_form import as_llama
from mindscope.models.baking.stream_writers import (
    EXPERT_BIASES,
    StreamWriter,
    embedding_scale,
    find_writers,
    is_matrix,
    output_matrices,
)
from mindscope.models.hooks.core import HookedModel
from mindscope.models.hooks.edits import Edit

ORTHOGONAL = 1e-5
"""The largest cosine of two directions that are ablated together."""
POINTS = ("embeddings", "resid_pre", "resid_post", "attn_out", "attn_out_post", "mlp_out", "mlp_out_post")
"""Where an addition reaches the stream through one module's output or the embeddings."""


@dataclass(frozen=True)
class WeightChanges:
    """A model's weights with edits in them, and how they differ from what they were.

    Attributes:
        config: the configuration, with the switches of new biases and without ties that no longer hold.
        architecture: the class of transformers that the weights are for.
        tensors: what is new or has other values, by its name in the state dictionary; float32.
        sentences: what was done, one sentence each.
    """

    config: Any
    architecture: type[nn.Module]
    tensors: Mapping[str, Tensor]
    sentences: tuple[str, ...]


def ablate_everywhere(model: HookedModel, vector: Float[Tensor, "d_model"]) -> list[Edit]:
    """The edits that orthogonalised weights carry out: the direction is taken off wherever the stream was
    written, at the first block's input and behind every attention and every MLP.
    """
    addresses = ["resid_pre.0"]
    for layer in range(model.n_layers):
        # What an MLP reads must not hold it either; a few families have no place there.
        between = [f"resid_mid.{layer}", f"attn_out.{layer}"]
        addresses += [address for address in between if _has_place(model, address)][:1]
        addresses.append(f"resid_post.{layer}")
    return [Edit(address, "ablate", vector) for address in addresses]


def change_weights(model: HookedModel, edits: Sequence[Edit]) -> WeightChanges:
    """The weights that do what edits do, to every token of every text.

    Args:
        model: in float32.
        edits: additions, and ablations as `ablate_everywhere` makes them.

    Raises:
        ModelError: no weights of this architecture can hold them; the line says why and what could be held.
    """
    if not edits:
        raise ModelError("there is nothing to bake: give at least one edit")
    if model.dtype != torch.float32:
        raise ModelError(
            f"weights are changed in float32, {model.name} is {model.dtype}: load it with float32"
        )
    model.check_edits(edits)
    for edit in edits:
        _require_constant(edit)
    changes = _Changes(model)
    changes.ablate([edit for edit in edits if edit.op == "ablate"])
    changes.add([edit for edit in edits if edit.op == "add"])
    return changes.finish()


class _Changes:
    """Changed weights while they are being made."""

    def __init__(self, model: HookedModel):
        self.model = model
        self.hf = model.hf
        self.config = copy.deepcopy(model.hf.config)
        self.architecture: type[nn.Module] = type(model.hf)
        self.tensors: dict[str, Tensor] = {}
        self.sentences: list[str] = []
        self._names = {id(p): n for n, p in self.hf.named_parameters(remove_duplicate=True)}

    def add(self, edits: Sequence[Edit]) -> None:
        """Additions at one address are one addition."""
        sums: dict[str, Tensor] = {}
        for edit in edits:
            delta = edit.value * edit.vector.detach().double().cpu()
            sums[edit.address] = sums.get(edit.address, torch.zeros_like(delta)) + delta
        for address, delta in sums.items():
            if delta.any():
                self._add(address, delta)

    def _add(self, address: str, delta: Float[Tensor, "d_model"]) -> None:
        writers = _writers(self.model, address)
        for writer in writers:
            if isinstance(writer.module, nn.Embedding):
                scale = embedding_scale(self.model) * writer.factor
                self._change_table(writer.name, lambda table, scale=scale: table + delta / scale)
                self.sentences.append(f"{address}: added to every row of {writer.name}")
                return
            if (name := _bias_of(writer)) is not None:
                bias = self._current(name)
                self.tensors[name] = (bias.double() + delta / writer.factor).float()
                self.sentences.append(f"{address}: added to {name}")
                return
        for writer in writers:
            if is_matrix(writer.module) and self._switch_on(writer.name):
                self.tensors[f"{writer.name}.bias"] = (delta / writer.factor).float()
                self.sentences.append(f"{address}: the new bias {writer.name}.bias")
                return
        raise ModelError(_why_not(self.model, address, writers))

    def _switch_on(self, module: str) -> bool:
        """Give a module a bias by a switch of the configuration, or as a Llama; False where nothing does."""
        if module in self._new_biases():
            return True  # a switch that is on already gives it one
        for config, architecture, sentence in _switched(self.config, self.architecture):
            if f"{module}.bias" in build_skeleton(architecture, config).state_dict():
                self.config, self.architecture = config, architecture
                self.sentences.append(sentence)
                return True
        return False

    def _new_biases(self) -> set[str]:
        known = self.hf.state_dict()
        names = build_skeleton(self.architecture, self.config).state_dict()
        return {name.removesuffix(".bias") for name in names if name not in known}

    def ablate(self, edits: Sequence[Edit]) -> None:
        """Directions must be gone wherever the stream is written."""
        if not edits:
            return
        basis = _require_everywhere(self.model, edits)
        _require_no_norm_behind(self.model)

        def off(matrix: Tensor, axis: int) -> Tensor:
            wide = matrix.detach().double().cpu().movedim(axis, -1)
            return (wide - (wide @ basis.T) @ basis).movedim(-1, axis).float()

        width, n_changed = self.model.d_model, 0
        for name, module in self.model.engine.arch.trunk.named_modules():
            if (
                isinstance(module, nn.Embedding)
                and module.weight.shape[1] == width
                and "per_layer" not in name
            ):
                self._change_table(self._full_name(module), lambda table: off(table, 1))
                n_changed += 1
        for name, found in output_matrices(self.model):
            if isinstance(found, nn.Parameter):
                self.tensors[name] = off(found, _output_axis(self.hf, name, found, width))
                n_changed += 1
                continue
            weights = dict(found.named_parameters(recurse=False))
            self.tensors[f"{name}.weight"] = off(weights["weight"], 1 if isinstance(found, Conv1D) else 0)
            n_changed += 1
            if "bias" in weights:
                self.tensors[f"{name}.bias"] = off(weights["bias"], 0)
        for name, parameter in self.hf.named_parameters():
            if name.rpartition(".")[2] in EXPERT_BIASES:
                self.tensors[name] = off(parameter, -1)
        self.sentences.append(
            f"{len(basis)} direction{'s' * (len(basis) > 1)} taken out of {n_changed} matrices and tables"
        )

    def _change_table(self, module: str, change: Any) -> None:
        name = f"{module}.weight"
        head = self.hf.get_output_embeddings()
        if head is not None and head.weight is self.hf.get_submodule(module).weight:
            self.tensors.setdefault(f"{self._full_name(head)}.weight", head.weight.detach().float().cpu())
            for config in (self.config, self.config.get_text_config()):
                config.tie_word_embeddings = False
            self.sentences.append("the unembedding keeps its values and is no longer tied to the token table")
        self.tensors[name] = change(self._current(name).double()).float()

    def _current(self, name: str) -> Tensor:
        if name in self.tensors:
            return self.tensors[name]
        return self.hf.state_dict()[name].detach().float().cpu()

    def _full_name(self, module: nn.Module) -> str:
        return next(name for name, found in self.hf.named_modules() if found is module)

    def finish(self) -> WeightChanges:
        """With zeros for the biases that a switch gave to modules nobody adds anything to."""
        shapes = build_skeleton(self.architecture, self.config).state_dict()
        known = self.hf.state_dict().keys() | self.tensors.keys()
        zeros = {name: torch.zeros(tensor.shape) for name, tensor in shapes.items() if name not in known}
        if strange := [name for name in zeros if not name.endswith("bias")]:
            raise ModelError(
                f"{self.model.name} would need new weights {', '.join(strange)} and not only biases"
            )
        return WeightChanges(
            self.config, self.architecture, self.tensors | zeros, tuple(dict.fromkeys(self.sentences))
        )


def _require_constant(edit: Edit) -> None:
    if edit.where != "all":
        raise ModelError(
            f"an edit at {edit.where!r} cannot be baked: weights do to every token what they do to one, and "
            "know no prompt and no answer; steer at 'all' positions, or steer where the model is served"
        )
    if edit.op in ("cap", "clamp", "replace"):
        raise ModelError(
            f"a {edit.op} cannot be baked: it depends on what the other modules have written, which no "
            "bias and no matrix that writes to the stream sees; bake an addition or an ablation, or "
            "steer at run time"
        )


def _writers(model: HookedModel, address: str) -> list[StreamWriter]:
    point = address.partition(".")[0]
    if point not in POINTS:
        raise ModelError(
            f"an addition at {address} is not one that a module makes to the residual stream: bake one at "
            "resid_post, attn_out or mlp_out"
        )
    return find_writers(model, address)


def _bias_of(writer: StreamWriter) -> str | None:
    """The name of what is added to a writer's output already; experts' biases are added as their router's
    weights, which sum to 1 where this is right, and the comparison tells where not.
    """
    if isinstance(getattr(writer.module, "bias", None), Tensor):
        return f"{writer.name}.bias"
    names = [name for name in EXPERT_BIASES if isinstance(getattr(writer.module, name, None), Tensor)]
    return f"{writer.name}.{names[0]}" if names else None


def _switched(config: Any, architecture: type[nn.Module]) -> list[tuple[Any, type[nn.Module], str]]:
    """Configurations that give more modules a bias, with what each of them is."""
    found: list[tuple[Any, type[nn.Module], str]] = []
    for field, value in sorted(vars(config.get_text_config()).items()):
        if "bias" in field and value in (False, None):
            changed = copy.deepcopy(config)
            setattr(changed.get_text_config(), field, True)
            found.append((changed, architecture, f"{field} is on; other new biases are zero"))
    llama = as_llama(config)
    if llama is not None:
        sentence = f"written as a Llama, which has biases in its MLPs; {config.model_type} has none"
        found.append((*llama, sentence))
    return found


def build_skeleton(architecture: Any, config: Any) -> Any:
    """A model without numbers: names and shapes."""
    with torch.device("meta"):
        return architecture(copy.deepcopy(config))


def _why_not(model: HookedModel, address: str, writers: Sequence[StreamWriter]) -> str:
    if not writers:
        return (
            f"{model.name} ({model.architecture}) cannot hold an addition at {address}: a norm, a gate or a "
            "router stands between every module that writes there and the stream; choose another address, or "
            "steer at run time"
        )
    return (
        f"{model.name} ({model.architecture}) cannot hold an addition at {address}: {writers[0].name} has no "
        "bias and the architecture has no switch for one; choose another address, or steer at run time"
    )


def _require_everywhere(model: HookedModel, edits: Sequence[Edit]) -> Float[Tensor, "k d_model"]:
    """An orthonormal basis of what is ablated; refuses an ablation that leaves the direction somewhere."""
    directions: list[Tensor] = []
    places: list[set[str]] = []
    for edit in edits:
        vector = edit.vector.detach().double().cpu()
        unit = vector / vector.norm()
        for known, addresses in zip(directions, places, strict=True):
            cosine = abs(float(known @ unit))
            if cosine > 1 - ORTHOGONAL:
                addresses.add(edit.address)
                break
            if cosine > ORTHOGONAL:
                raise ModelError(
                    f"two directions with the cosine {cosine:.3g} cannot be ablated together by weights: the "
                    "one puts back what the other took; give an orthogonal basis of what they span"
                )
        else:
            directions.append(unit)
            places.append({edit.address})
    wanted = {edit.address for edit in ablate_everywhere(model, edits[0].vector)}
    for addresses in places:
        if addresses != wanted:
            raise ModelError(
                f"an ablation at {', '.join(sorted(addresses)[:3])} alone cannot be baked: orthogonal "
                "weights keep a direction out of the whole stream; ablate it everywhere"
            )
    return torch.stack(directions)


def _require_no_norm_behind(model: HookedModel) -> None:
    arch = model.engine.arch
    for layer in range(model.n_layers):
        if arch.post_attn_norm(layer) is not None or arch.post_mlp_norm(layer) is not None:
            raise ModelError(
                f"{model.name} ({model.architecture}) norms what its blocks write: a matrix before a norm "
                "cannot keep a direction out of what comes behind it; steer at run time"
            )


def _output_axis(hf: Any, name: str, experts: Tensor, width: int) -> int:
    """Which axis of experts' matrices is the stream's."""
    if experts.shape[1] != experts.shape[2]:
        return 1 if experts.shape[1] == width else 2
    owner = hf.get_submodule(name.rpartition(".")[0])
    return 2 if getattr(owner, "is_transposed", False) else 1


def _has_place(model: HookedModel, address: str) -> bool:
    try:
        place = model.place(address)
    except ModelError:
        return False
    return place.part is None and ":" not in place.side
