"""Where a model runs, as it is asked for."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from mindscope.core import FrozenSettings


class EngineOptions(FrozenSettings):
    """In this process, or in copies of the model on a Ray cluster. The result is the same."""

    engine: Literal["eager", "ray"] = "eager"
    """Where the model runs: in this process (eager), or in copies of it, each an actor of a Ray cluster
    (ray), for which pip install 'mindscope[scale]' is needed."""
    ray_address: str | None = None
    """The address of the Ray cluster, such as auto or ray://HOST:10001; by default that of RAY_ADDRESS, else
    one is started on this machine and ends with the command."""
    copies: int | None = Field(default=None, ge=1)
    """How many copies of the model work; by default one for each GPU of the cluster, or as many as its CPUs
    have room for."""
    copy_gpus: float | None = Field(default=None, ge=0)
    """GPUs of one copy; by default 1 where the cluster has any and --device is not cpu. With --device-map it
    is the number over which a copy is shared out."""

    @model_validator(mode="after")
    def _need_ray(self) -> EngineOptions:
        given = [name for name in ("ray_address", "copies", "copy_gpus") if getattr(self, name) is not None]
        if given and self.engine != "ray":
            raise ValueError(f"--{given[0].replace('_', '-')} is about copies of the model: add --engine ray")
        return self
