"""One dictionary in training: its optimiser, schedules, dead latents, and all that a checkpoint needs."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.dictionaries.dictionary import Dictionary
from mindscope.dictionaries.training.beginning import take_weights
from mindscope.dictionaries.training.config import DictionaryConfig
from mindscope.dictionaries.training.objective import LossOutput, LossState, compute_loss
from mindscope.dictionaries.training.processes import ALONE_MESH, TrainingMesh
from mindscope.dictionaries.training.resampling import resample, token_losses
from mindscope.dictionaries.training.scaling import ActivationScaling, fold_scaling
from mindscope.dictionaries.training.weights import TrainableWeights
from mindscope.errors import DataError
from mindscope.features import Site, read_numbers

DECAY = 0.2
"""The share of the run, at its end, over which the learning rate falls to zero."""
RELU_RAMP = 0.05
"""The share of the run over which the L1 coefficient rises; JumpReLU's rises all the time."""
CLIP = 1.0
"""The largest norm of the gradient."""


class DictionaryTrainer:
    """Takes one batch of activations after the other.

    Args:
        config: of the dictionary.
        reads: its reads, in the order of the columns of `x`.
        writes: its writes, in the order of the columns of `y`.
        steps: how long the run is.
        seed: of the initial weights.
        bfloat16: whether matrix products are made in bfloat16.
        device: where it is trained.
        mesh: the processes that train it; each steps with an equal share of every batch, on its slice of the
            latents.
    """

    def __init__(
        self,
        config: DictionaryConfig,
        reads: Sequence[Site],
        writes: Sequence[Site],
        *,
        steps: int,
        seed: int = 0,
        bfloat16: bool = False,
        device: torch.device | str = "cpu",
        mesh: TrainingMesh = ALONE_MESH,
    ):
        self.mesh = mesh
        self.config, self.steps, self.seed, self.bfloat16 = config.resolved(steps), steps, seed, bfloat16
        self.device = torch.device(device)
        self.weights = TrainableWeights(self.config, reads, writes, mesh.latents).to(self.device)
        rate, top = self.config.learning_rate or 0.0, self.config.top
        self.optimizer = torch.optim.Adam(
            self.weights.parameters(), lr=rate, betas=(0.9, 0.999), eps=6.25e-10 if top else 1e-8, fused=True
        )
        self.scaling: ActivationScaling | None = None
        self.step_number = 0
        self.variance = 1.0
        self.density = 1.0
        latents = [len(coder.W_enc) for coder in self.weights.coders()]
        self.silent = [torch.zeros(count, dtype=torch.long, device=self.device) for count in latents]
        """Per coder, how many tokens each latent has been silent for."""
        self.thresholds = [0.0] * len(latents)
        self.expected = [0.0] * len(latents)
        self._n_dead: list[int] | None = None
        """Per coder the dead latents of all slices after the last step; None where that is not known."""

    def begin(
        self,
        x: Float[Tensor, "tokens d_in"],
        y: Float[Tensor, "tokens d_out"],
        begun: Dictionary | None = None,
    ) -> None:
        """Measure the first activations and initialise the weights with them, or with a dictionary's."""
        x, y = x.to(self.device), y.to(self.device)
        self.scaling = ActivationScaling.measured(x, y, self.weights)
        x, y = self.scaling.inputs(x), self.scaling.targets(y)
        self.variance = float((y - y.mean(0)).square().sum() / len(y))
        if self.variance == 0:
            raise DataError(f"the activations that {self.config.name} is to write are all alike")
        if begun is None:
            self.weights.initialise(x, y, self.seed)
        else:
            self.thresholds = take_weights(self.weights, self.scaling, begun)
        self._agree()

    def step(
        self, x: Float[Tensor, "tokens d_in"], y: Float[Tensor, "tokens d_out"] | None = None
    ) -> LossOutput:
        """One batch: the loss, its gradients, an update. Without `y`, what is read is to be written."""
        assert self.scaling is not None, "begin() comes first"
        x, target = self._scaled(x, y)
        result = compute_loss(self.weights, x, target, self._state())
        self.optimizer.zero_grad()
        torch.stack([*result.terms.values()]).sum().backward()
        for active in result.active:
            self.mesh.data.sum(active)
        self._update()
        self._count(result, len(x) * self.mesh.data.count)
        self.step_number += 1
        return result

    def resample(
        self, x: Float[Tensor, "tokens d_in"], y: Float[Tensor, "tokens d_out"] | None = None
    ) -> int:
        """Draw dead latents again out of these activations, and say how many; see `resampling.resample`."""
        assert self.scaling is not None, "begin() comes first"
        x, target = self._scaled(x, y)
        state, seed = self._state(), self.seed * 1_000_003 + self.step_number
        losses = token_losses(self.weights, x, target, state.ramp * (self.config.sparsity or 0.0))
        drawn = resample(self.weights, self.optimizer, state.dead, x, target, losses, seed)
        for silent, dead in zip(self.silent, state.dead, strict=True):
            every = self.mesh.latents.joined(dead)[0].all()  # then there was no living one to go by
            silent[dead & ~every] = 0
        self._n_dead = None
        self._agree()
        return drawn

    def _agree(self) -> None:
        """All processes have the weights of the first, also where machines round differently."""
        for parameter in self.weights.sliced_parameters():
            self.mesh.data.same(parameter.data)
        for parameter in self.weights.common_parameters():
            self.mesh.everyone.same(parameter.data)

    def metrics(self, result: LossOutput, x: Tensor, y: Tensor | None = None) -> dict[str, float]:
        """What a batch showed: loss terms, L0, explained variance, dead share."""
        assert self.scaling is not None
        _, target = self._scaled(x, y)
        together, latents = self.mesh.data, self.mesh.latents
        tokens = len(x) * together.count
        spread = together.sum((target - together.sum(target.sum(0)) / tokens).square().sum())
        dead = torch.cat([silent >= self.config.dead_tokens for silent in self.silent])
        measures = {
            "explained_variance": 1 - float(together.sum(result.residual.square().sum()) / spread),
            "l0": sum(int(latents.sum(active.sum())) for active in result.active) / tokens,
            "dead": float(latents.joined(dead)[0].float().mean()),
            "learning_rate": self.optimizer.param_groups[0]["lr"],
        }
        terms = {name: together.sum(term.detach().clone()) for name, term in result.terms.items()}
        measures |= {f"loss_{name}": float(term) / together.count for name, term in terms.items()}
        if self.config.activation == "batchtopk":
            measures["threshold"] = sum(self.thresholds) / len(self.thresholds)
        return measures

    def finish(self, metadata: Mapping[str, object]) -> Dictionary:
        """The finished dictionary, in the units of the activations: see `fold_scaling`.

        Raises:
            DataError: training diverged, or every latent is dead.
        """
        assert self.scaling is not None
        living = torch.stack([(silent < self.config.dead_tokens).sum() for silent in self.silent])
        if not self.mesh.latents.sum(living).any():
            raise DataError(
                f"every latent of {self.config.name} is dead: lower the sparsity or the learning rate"
            )
        finished = fold_scaling(self.weights, self.scaling, self.thresholds, dict(metadata))
        return finished.to("cpu")

    def tensors(self) -> dict[str, Tensor]:
        """All that the rest of the training depends on; of what has a row for each latent, the own slice."""
        assert self.scaling is not None
        numbers = [self.step_number, self.variance, self.density, *self.thresholds, *self.expected]
        tensors = {f"scaling.{name}": tensor for name, tensor in self.scaling.tensors().items()}
        tensors["numbers"] = torch.tensor(numbers, dtype=torch.float64)
        tensors |= {f"silent.{index}": silent for index, silent in enumerate(self.silent)}
        for name, parameter in self.weights.named_parameters():
            tensors[f"weight.{name}"] = parameter.detach()
            state = self.optimizer.state.get(parameter, {})
            tensors |= {f"adam.{key}.{name}": value for key, value in state.items()}
        return tensors

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on where `tensors` was called."""
        # Those in float64, which some devices do not have, are numbers of Python's and stay on the CPU.
        tensors = {
            name: tensor if tensor.dtype == torch.float64 else tensor.to(self.device)
            for name, tensor in tensors.items()
        }
        self.scaling = ActivationScaling(*(tensors[f"scaling.{name}"] for name in ("mean", "read", "write")))
        step, self.variance, self.density, *rest = tensors["numbers"].tolist()
        self.step_number = int(step)
        self.thresholds, self.expected = rest[: len(self.silent)], rest[len(self.silent) :]
        self.silent = [tensors[f"silent.{index}"] for index in range(len(self.silent))]
        self._n_dead = None
        for name, parameter in self.weights.named_parameters():
            parameter.data.copy_(tensors[f"weight.{name}"])
            keys = [key for key in ("step", "exp_avg", "exp_avg_sq") if f"adam.{key}.{name}" in tensors]
            if keys:
                self.optimizer.state[parameter] = {key: tensors[f"adam.{key}.{name}"] for key in keys}

    def _scaled(self, x: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor]:
        """What the encoder takes and what is to be written, in the units of the training.

        Also where it writes what it reads these may differ: what a TopK crosscoder reads is centred, what it
        writes is not, or its finished decoder would lack the mean.
        """
        assert self.scaling is not None, "begin() comes first"
        x = x.to(self.device)
        return self.scaling.inputs(x), self.scaling.targets(x if y is None else y.to(self.device))

    def _state(self) -> LossState:
        # The penalty rises slowly: latents that are pushed to zero before they mean anything stay dead.
        done = self.step_number / self.steps
        ramp = min(1.0, done / RELU_RAMP) if self.config.method == "relu" else done
        dead = [silent >= self.config.dead_tokens for silent in self.silent]
        return LossState(
            ramp, self.variance, self.expected, dead, self.density, self.bfloat16, self.mesh, self._n_dead
        )

    @torch.no_grad()
    def _update(self) -> None:
        data = self.mesh.data
        if data.count > 1:
            for parameter in self.weights.parameters():
                if parameter.grad is not None:
                    data.sum(parameter.grad).div_(data.count)
        for parameter in self.weights.common_parameters():
            if parameter.grad is not None:  # slices that add in another order must not drift apart
                self.mesh.latents.same(parameter.grad)
        self.weights.tie_shared()
        unit = [*self.weights.coders()] if self.weights.unit_rows else []
        # What would change a norm that is held anyway must not drive Adam: the gradient's part along each row
        # is taken off.
        for coder in unit:
            rows, gradient = coder.W_dec, coder.W_dec.grad
            assert gradient is not None
            gradient.addcmul_((gradient * rows).sum(1, keepdim=True), rows, value=-1)
        self._clip()
        for group in self.optimizer.param_groups:
            group["lr"] = (self.config.learning_rate or 0.0) * self._rate()
        self.optimizer.step()
        for coder in unit:
            coder.W_dec.div_(coder.W_dec.norm(dim=1, keepdim=True))

    def _clip(self) -> None:
        """Shorten the gradient of all slices together to `CLIP`."""
        if self.mesh.latents.count == 1:
            torch.nn.utils.clip_grad_norm_(self.weights.parameters(), CLIP)
            return
        sliced, common = (
            torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None]).square()
            for parameters in (self.weights.sliced_parameters(), self.weights.common_parameters())
        )
        norm = (self.mesh.latents.sum(sliced) + common).sqrt()
        torch.nn.utils.clip_grads_with_norm_(self.weights.parameters(), CLIP, norm)

    def _rate(self) -> float:
        warm = min(1.0, (self.step_number + 1) / max(1, self.config.warmup_steps or 0))
        # up over the first steps, then flat, and down to zero over the last fifth
        left = (self.steps - self.step_number) / (DECAY * self.steps)
        return warm * min(1.0, left)

    def _count(self, result: LossOutput, tokens: int) -> None:
        for silent, active in zip(self.silent, result.active, strict=True):
            silent.add_(tokens).mul_(active == 0)
        n_active = torch.stack([active.sum() for active in result.active]).sum()
        n_dead = torch.stack([(silent >= self.config.dead_tokens).sum() for silent in self.silent])
        counts = self.mesh.latents.sum(torch.cat([n_active[None], n_dead]))
        # The host waits for the device here, for all that the next step goes by.
        (total, *self._n_dead), smallest_scores = read_numbers(counts, torch.stack(result.smallest))
        latents = sum(wiring.n_latents for wiring in self.weights.wiring)
        self.density = total / (tokens * latents)
        # The running mean of the smallest chosen score (arXiv 2412.06410) reaches back over the last tenth
        # of the run, at most 1000 batches.
        # The first value is taken as it is: a mean that began at 0 would let everything through.
        weight = 1 / min(1000, max(1, self.steps // 10))
        for index, smallest in enumerate(smallest_scores):
            self.expected[index] = smallest
            before = self.thresholds[index]
            self.thresholds[index] = before + weight * (smallest - before) if before else smallest
