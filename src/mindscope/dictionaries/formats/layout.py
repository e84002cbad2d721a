"""What a format's files hold, as tables, and the one way from such a table to our weights and back."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import torch
from einops import rearrange
from torch import Tensor

from mindscope.errors import DataError

OURS = {
    "W_enc": "latents d_in",
    "b_enc": "latents",
    "W_dec": "latents d_out",
    "b_dec": "d_out",
    "threshold": "latents",
    "W_skip": "d_in d_out",
}
"""The parts of a dictionary and their axes here."""

CoderWeights = dict[str, Tensor]
"""Weights by the names of `OURS`, float32."""


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """One tensor of a file.

    Attributes:
        part: what it is here.
        key: what it is called there; `{layer}` stands for the layer.
        axes: its axes there, in order. None at all: one number for all latents.
        needed: whether every file has it.
        ours: its axes here, where they are not those of `OURS`.
    """

    part: str
    key: str
    axes: str
    needed: bool = True
    ours: str = ""

    @property
    def here(self) -> str:
        return self.ours or OURS[self.part]


@dataclass(frozen=True, slots=True)
class FileLayout:
    """The tensors of a file.

    Attributes:
        entries: what it holds.
        square: whether it writes as wide as it reads.
        unused: further keys a file may have, on which the forward pass does not depend.
    """

    entries: tuple[TensorEntry, ...]
    square: bool = True
    unused: frozenset[str] = frozenset()

    def of_layer(self, layer: int) -> "FileLayout":
        """With the layer filled in."""
        return replace(
            self, entries=tuple(replace(entry, key=entry.key.format(layer=layer)) for entry in self.entries)
        )

    def take(self, tensors: Mapping[str, Tensor], file: object, **sizes: int) -> CoderWeights:
        """The parts of a dictionary out of a file's tensors.

        Args:
            tensors: all that the file holds.
            file: its name, for messages.
            sizes: of the axes, as far as the configuration says.

        Raises:
            DataError: a key is missing or unknown, or a shape is not what this layout says.
        """
        keys = {entry.key for entry in self.entries}
        if lacking := sorted(
            entry.key for entry in self.entries if entry.needed and entry.key not in tensors
        ):
            raise DataError(
                f"{file} lacks {', '.join(lacking)}, which this format needs; it holds {_some(tensors)}"
            )
        if strange := sorted(tensors.keys() - keys - self.unused):
            raise DataError(
                f"{file} holds {', '.join(strange[:5])}, which this format does not know: another one?"
            )
        known = dict(sizes)
        here = [entry for entry in self.entries if entry.key in tensors]
        for entry in sorted(here, key=lambda entry: len(entry.axes.split())):
            self._bind(known, entry, tuple(tensors[entry.key].shape), file)
        parts: CoderWeights = {}
        for entry in here:
            tensor = tensors[entry.key]
            if not tensor.is_floating_point():
                raise DataError(
                    f"{file}: {entry.key} holds {tensor.dtype}, floating-point weights are needed"
                )
            tensor = tensor.to(torch.float32)
            if entry.axes:
                tensor = rearrange(tensor, f"{entry.axes} -> {entry.here}")
            else:
                tensor = tensor.expand(known["latents"])
            parts[entry.part] = tensor.contiguous()
        return parts

    def give(self, parts: Mapping[str, Tensor], format_: str, **sizes: int) -> dict[str, Tensor]:
        """A file's tensors out of the parts of a dictionary.

        Raises:
            DataError: the format has no place for a part, or needs one that is not there.
        """
        by_part = {entry.part: entry for entry in self.entries}
        if homeless := sorted(parts.keys() - by_part.keys()):
            raise DataError(f"{format_} cannot hold {', '.join(homeless)} of such a dictionary")
        tensors: dict[str, Tensor] = {}
        for part, entry in by_part.items():
            if part not in parts:
                if entry.needed:
                    raise DataError(f"{format_} needs {part}, which this dictionary has not")
                continue
            tensor = parts[part].detach().cpu().to(torch.float32)
            if not entry.axes:
                if (tensor != tensor[0]).any():
                    raise DataError(f"{format_} has one {part} for all latents, here each has its own")
                tensors[entry.key] = tensor[0].clone()
                continue
            axes = {axis: size for axis, size in sizes.items() if axis in entry.axes.split()}
            tensors[entry.key] = rearrange(tensor, f"{entry.here} -> {entry.axes}", **axes).contiguous()
        return tensors

    def _bind(self, known: dict[str, int], entry: TensorEntry, shape: tuple[int, ...], file: object) -> None:
        axes = entry.axes.split()
        expected = [known.get(axis) for axis in axes]
        if len(shape) != len(axes) or any(
            size not in (None, actual) for size, actual in zip(expected, shape, strict=False)
        ):
            sizes = [size for size in expected if size is not None]
            turned = len(sizes) == len(shape) == len(axes) and sorted(shape) == sorted(sizes)
            described = ", ".join(str(size or axis) for axis, size in zip(axes, expected, strict=True))
            raise DataError(
                f"{file}: {entry.key} is {list(shape)}, [{described}] is needed "
                f"({entry.axes or 'one number'})" + (": it is transposed" if turned else "")
            )
        known.update(zip(axes, shape, strict=True))
        if self.square:
            for first, other in (("d_in", "d_out"), ("d_out", "d_in")):
                if first in known and known.setdefault(other, known[first]) != known[first]:
                    raise DataError(
                        f"{file}: {entry.key} is {list(shape)}, but it reads {known['d_in']} "
                        f"and writes {known['d_out']} numbers"
                    )


def _some(tensors: Collection[str]) -> str:
    names = sorted(tensors)
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "") or "nothing"
