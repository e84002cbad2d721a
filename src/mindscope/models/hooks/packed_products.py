"""Products with weights that oneDNN has laid out for itself, for CPUs, while answers are written.

A step of decoding multiplies a few rows with every weight of the model, so that what a product costs is how
its weights are read. As they lie in a checkpoint, they are laid out anew at every product (bfloat16), or are
multiplied by a library that on some processors leaves half of the vector units idle (float32). Measured on an
AVX512-BF16 CPU, one thread: packed products take 0.4 to 0.6 of the time in float32 for 1 to 2,000 rows; in
bfloat16 0.5 for one row, 0.65 for 8 and 0.9 for 64, with the same bits. On a CPU with AVX2 alone one row
takes 0.9 to 5 times as long packed, and weights of half a million elements or more 0.3 to 1.2 for 2 to 512
rows: so there smaller weights stay as they are, and so does one row.

1. The weights of plain linear layers are packed when they are first multiplied while answers are written.
   The packed ones are a second copy, so what they may take is bounded; the largest weights come first.
2. oneDNN compiles a kernel of half a megabyte for every number of rows that it meets. So rows are filled up
   to a few round numbers, and many are multiplied piece by piece.
3. A weight that has changed is packed anew. What autograd counts as a change is seen in every pass; what
   goes past it (`weight.data`), in a sample of the weight when a batch is opened.
"""

import platform
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

_MOST_BYTES = 256 * 2**20
"""What packed weights take at most: a small model's, whole. A large one's products are bound by memory either
way, and its second copy would be missed elsewhere."""

_WORTH_PACKING = 2**15
"""Elements of a weight below which the call costs more than the product."""

_NARROW = ("DEFAULT", "AVX2")
"""What torch can use of processors that gain less."""

_NARROW_WORTH, _NARROW_ROWS = 2**19, 2
"""Of these, the elements of a weight and the number of rows from which packing pays."""

_ROWS = (*range(1, 9), 12, 16, 24, 32, 40, 48, 56, 64, 96, 128, 160, 192, 224, 256, 320, 384, 448, 512)
"""Numbers of rows that are multiplied at once: about 30 kernels for every shape of weights."""

_SAMPLES = 4096
"""Elements of a weight that are looked at for changes which nothing counts."""


class PackedProducts:
    """The packed weights of a model, and the products that they are used in."""

    def __init__(self, hf: nn.Module):
        self._hf = hf
        self._packed: dict[nn.Linear, _PackedWeight] = {}
        self._chosen: list[nn.Linear] | None = None

    def refresh(self) -> None:
        """Let go what is packed of weights that have changed, or belong to no layer any more."""
        self._chosen = None
        packed = list(self._packed.items())  # at once: another thread may be packing more
        self._packed = {layer: weight for layer, weight in packed if weight.holds(layer)}

    @contextmanager
    def used(self) -> Iterator[None]:
        """Multiply with packed weights in the block, where nothing asks for gradients."""
        if not torch.is_inference_mode_enabled():
            yield
            return
        if self._chosen is None:
            self._chosen = _choose_layers(self._hf)
        # Set in the dictionary of the layer, past `nn.Module.__setattr__`: hundreds of layers, every step.
        patched: list[nn.Linear] = []
        try:
            for layer in self._chosen:
                packed = self._packed.get(layer)
                if packed is None or not packed.is_of(layer.weight):
                    packed = self._packed[layer] = _PackedWeight(layer.weight)
                if "forward" not in layer.__dict__:  # somebody else's is left alone
                    layer.__dict__["forward"] = partial(_multiply, packed.weight, layer.weight, layer.bias)
                    patched.append(layer)
            yield
        finally:
            for layer in patched:
                del layer.__dict__["forward"]


class _PackedWeight:
    """A weight as oneDNN lays it out, and what tells that it is still that of its layer."""

    def __init__(self, weight: Tensor):
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), 64)
        self._place, self._version = weight.data_ptr(), weight._version
        self._sample = _sample(weight).clone()

    def is_of(self, weight: Tensor) -> bool:
        return weight.data_ptr() == self._place and weight._version == self._version

    def holds(self, layer: nn.Linear) -> bool:
        weight = layer.weight
        return self.is_of(weight) and torch.equal(self._sample, _sample(weight))


def _sample(weight: Tensor) -> Tensor:
    values = weight.detach().flatten()
    return values[:: max(1, len(values) // _SAMPLES) | 1]  # odd, so that it walks over the columns


def _choose_layers(hf: nn.Module) -> list[nn.Linear]:
    """The layers whose weights are packed, the largest first, as long as there is room."""
    if platform.machine() not in ("x86_64", "AMD64") or not torch.backends.mkldnn.is_available():
        return []
    types = [torch.float32]
    if torch.ops.mkldnn._is_mkldnn_bf16_supported():
        types.append(torch.bfloat16)
    worth = _NARROW_WORTH if _is_narrow() else _WORTH_PACKING
    layers = [
        layer
        for layer in hf.modules()
        if type(layer) is nn.Linear
        and layer.weight.device.type == "cpu"
        and layer.weight.dtype in types
        and layer.weight.numel() >= worth
        and not layer.weight.is_inference()  # whose changes nobody counts
        and layer.weight.is_contiguous()
    ]
    chosen, room = [], _MOST_BYTES
    for layer in sorted(layers, key=lambda layer: -layer.weight.numel()):
        if layer.weight.nbytes <= room:
            chosen.append(layer)
            room -= layer.weight.nbytes
    return chosen


def _is_narrow() -> bool:
    return torch.backends.cpu.get_cpu_capability() in _NARROW


def _multiply(
    packed: Tensor, weight: Tensor, bias: Tensor | None, hidden: Float[Tensor, "*rows inputs"]
) -> Float[Tensor, "*rows outputs"]:
    """The product with a packed weight, as `nn.Linear` would give it but for rounding."""
    rows = hidden.reshape(-1, hidden.shape[-1])
    n_rows, most = len(rows), _ROWS[-1]
    if n_rows < _NARROW_ROWS and _is_narrow():
        return F.linear(hidden, weight, bias)
    if n_rows <= most:
        product = _multiply_few(packed, bias, rows)
    else:
        product = torch.cat([_multiply_few(packed, bias, piece) for piece in rows.split(most)])
    return product.view(*hidden.shape[:-1], product.shape[-1])


def _multiply_few(
    packed: Tensor, bias: Tensor | None, rows: Float[Tensor, "rows inputs"]
) -> Float[Tensor, "rows outputs"]:
    n_rows = len(rows)
    room = _ROWS[bisect_left(_ROWS, n_rows)] if n_rows else 0
    if room > n_rows:
        rows = F.pad(rows, (0, 0, 0, room - n_rows))
    product = torch.ops.mkldnn._linear_pointwise(rows, packed, bias, "none", [], "")
    return product[:n_rows] if room > n_rows else product
