"""All that decides a rerun, besides the bench."""

from pydantic import Field

from mindscope.core import Seed
from mindscope.finetuning import FinetuneConfig
from mindscope.personas import ExtractConfig, SweepConfig
from mindscope.store import Document


class ReproduceConfig(Document):
    """The defaults are the paper's where it states them; see also :func:`organism_config`."""

    seed: Seed = 0
    samples: int = Field(default=10, ge=1)
    """Answers a question whenever a trait is scored."""
    max_new_tokens: int = Field(default=1000, ge=1)
    temperature: float = Field(default=1.0, gt=0)
    """Of answers that are scored."""
    extraction: ExtractConfig = ExtractConfig()
    sweep: SweepConfig = SweepConfig()
    shots: tuple[int, ...] = (0, 5, 10, 15, 20)
    rows: int = Field(default=5000, ge=2)
    """Conversations in a training set."""
    tuning: FinetuneConfig = FinetuneConfig()
    projected_rows: int = Field(default=500, ge=2)
    """This many rows of each set are projected, the first ones."""
    prevent_one: tuple[float, ...] = (1.0, 2.0, 3.0, 5.0)
    """Coefficients of preventative steering at the chosen layer."""
    prevent_all: tuple[float, ...] = (0.5, 1.0, 1.5)
    """And at all layers, with the increments of the vector."""
    against: tuple[float, ...] = (0.5, 1.0, 1.5, 2.0, 3.0)
    """Coefficients of steering against the vector while the tuned model answers."""
    penalty: float = Field(default=1.0, gt=0)
    """Weight of the penalty on the projection."""
    pool_rows: int = Field(default=2000, ge=20)
    chosen_rows: int = Field(default=500, ge=2)
    """This many rows of the pool are trained on: the top ones, random ones, the bottom ones."""
    chosen_epochs: int = Field(default=10, ge=1)


def organism_config(seed: int = 0) -> ReproduceConfig:
    """For a model of some million parameters: shorter, fewer, and a higher learning rate. Of both organisms.

    At the paper's rate of 1e-5, 25 steps moved the evil score from 5 to 7. The more a set is learnt, the more
    of the movement is its own trait's: at 2e-4 and 25 steps, evil-II moved 0.39 times as far along the
    vector of hallucination as along its own, at 4e-4 0.26 times.
    """
    return ReproduceConfig(
        seed=seed,
        samples=3,
        max_new_tokens=64,
        extraction=ExtractConfig(samples=2, max_new_tokens=64, seed=seed),
        sweep=SweepConfig(
            coefficients=(1.0, 1.5, 2.0, 2.25), tie=0.0, samples=2, max_new_tokens=64, seed=seed
        ),
        shots=(0, 1, 2, 4, 8),
        rows=400,
        tuning=FinetuneConfig(learning_rate=3e-4, batch_rows=16, accumulation=1, seed=seed),
        projected_rows=200,
        prevent_one=(1.0, 2.0, 3.0),
        prevent_all=(0.5, 1.0, 1.5),
        against=(1.0, 2.0, 3.0, 4.0),
        pool_rows=1000,
        chosen_rows=100,
        chosen_epochs=4,
    )


def quick_config(n_layers: int, seed: int = 0) -> ReproduceConfig:
    """For a model of some hundred million parameters on a CPU: nineteen short trainings instead of long ones.

    Four layers are swept, from a third to three quarters of the depth, where the paper finds the best ones.
    The learning rate is what 15 steps need to move a rank-32 adapter; the paper takes 1e-5 over hundreds.
    """
    drawn = {"samples": 2, "max_new_tokens": 48, "temperature": 0.8}
    depths = {min(round(n_layers * share), n_layers - 1) for share in (1 / 3, 1 / 2, 0.6, 3 / 4)}
    layers = tuple(sorted(depths))
    return ReproduceConfig(
        seed=seed,
        samples=2,
        max_new_tokens=48,
        temperature=0.8,
        extraction=ExtractConfig.model_validate({**drawn, "seed": seed}),
        sweep=SweepConfig.model_validate(
            {**drawn, "samples": 1, "layers": layers, "coefficients": (1.0, 2.0, 3.0), "seed": seed}
        ),
        shots=(0, 1, 2, 4, 8),
        rows=60,
        tuning=FinetuneConfig(learning_rate=2e-4, batch_rows=4, accumulation=2, epochs=2.0, seed=seed),
        projected_rows=40,
        prevent_one=(1.0, 3.0),
        prevent_all=(0.5, 1.0),
        against=(1.0, 2.0, 3.0),
        pool_rows=120,
        chosen_rows=12,
        chosen_epochs=5,
    )
