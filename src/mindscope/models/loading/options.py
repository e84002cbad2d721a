"""How a model is loaded: precision, place, attention, revision; no torch is needed to read it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import field_validator, model_validator

from mindscope.core import FrozenSettings, parse_json
from mindscope.errors import ModelError

Attention = Literal["auto", "sdpa", "eager", "flash_attention_2", "flash_attention_3"]
"""How attention is computed; the result is the same but for rounding."""
MAPS = ("auto", "balanced", "balanced_low_0", "sequential")
"""Ways in which accelerate shares a model out."""
_MEMORY = re.compile(r"(?P<place>\w+)=(?P<size>\d+(?:\.\d+)?\s*(?:[KMGT]i?B))", re.IGNORECASE)


class WholeModelOptions(FrozenSettings):
    """How a model is loaded that must stay whole on one device."""

    device: str = "auto"
    """Where the model runs: cpu, cuda, cuda:1, or auto."""
    revision: str | None = None
    """A branch, tag or commit of the model's repository on the hub, which may also stand in the name
    (OWNER/MODEL@REVISION); its main branch by default."""
    attention: Attention = "auto"
    """How attention is computed: sdpa, eager, flash_attention_2 or flash_attention_3; auto is what the
    library chooses for the model."""
    trust_remote_code: bool = False
    """Run Python code that comes with the model; without this option it is never run, and nobody is asked."""


class LoadOptions(WholeModelOptions):
    """All that decides how a model is loaded, besides its name."""

    dtype: str = "auto"
    """The precision of the weights: float32, bfloat16, float16, or auto."""
    device_map: str | None = None
    """Share the model out over all GPUs, memory and disk: auto, balanced, balanced_low_0, sequential, or a
    JSON file (or text) that names a device for each module."""
    max_memory: tuple[str, ...] = ()
    """The most that --device-map may put somewhere, such as 0=20GiB for the first GPU or cpu=64GiB. May be
    repeated."""
    offload_folder: Path | None = None
    """Where --device-map keeps weights that fit nowhere else."""

    @field_validator("max_memory")
    @classmethod
    def _check_memory(cls, limits: tuple[str, ...]) -> tuple[str, ...]:
        for text in limits:
            if not _MEMORY.fullmatch(text):
                raise ValueError(f"{text!r}: write for example 0=20GiB for a GPU, or cpu=64GiB")
        return limits

    @model_validator(mode="after")
    def _check_place(self) -> LoadOptions:
        if self.device_map is None and (self.max_memory or self.offload_folder):
            raise ValueError("max_memory and offload_folder belong to a device_map: give --device-map auto")
        if self.device_map is not None and self.device != "auto":
            raise ValueError("give --device or --device-map: one of them says where the model runs")
        return self

    def memory_limits(self) -> dict[int | str, str] | None:
        """The limits by place, as accelerate takes them; None where there are none."""
        parts = [match for text in self.max_memory if (match := _MEMORY.fullmatch(text))]
        places = {part["place"]: part["size"].replace(" ", "") for part in parts}
        return {int(place) if place.isdecimal() else place: size for place, size in places.items()} or None

    def placement(self) -> str | dict[str, Any] | None:
        """The map as accelerate takes it: a way's name, or modules with their devices.

        Raises:
            ModelError: it is neither, or the file cannot be read.
        """
        if self.device_map is None or self.device_map in MAPS:
            return self.device_map
        text = self.device_map
        try:
            if not text.lstrip().startswith("{"):
                text = Path(text).read_text(encoding="utf-8-sig")
            modules = parse_json(text)
        except (OSError, ValueError) as error:
            raise ModelError(
                f"the device map {self.device_map!r} is neither {', '.join(MAPS)} nor a JSON file of modules "
                "with their devices"
            ) from error
        if not isinstance(modules, dict) or not all(isinstance(at, int | str) for at in modules.values()):
            raise ModelError("a device map names a device for each module, such as {'model.layers.0': 0}")
        return modules
