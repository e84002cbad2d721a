"""How dictionaries are trained: each method with the constants of its paper."""

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from mindscope.core import FrozenSettings, Index, Seed
from mindscope.dictionaries.kinds import Activation, Kind

Method = Literal["relu", "topk", "batchtopk", "matryoshka", "jumprelu"]
"""`relu`: L1 with decoder norms (Anthropic, circuits update of April 2024). `topk`: Gao et al. 2024, arXiv
2406.04093. `batchtopk`: Bussmann et al. 2024, arXiv 2412.06410. `matryoshka`: BatchTopK with nested
reconstructions, Bussmann et al. 2025, arXiv 2503.17547. `jumprelu`: circuits update of January 2025."""

CLT_THRESHOLD, CLT_BANDWIDTH, CLT_TANH_SCALE = 0.03, 1.0, 1.0
"""Of cross-layer transcoders: where JumpReLU's thresholds begin, the width of their gradient, and the c of
the penalty. Public implementations of Ameisen et al. 2025, "Circuit Tracing", agree on the first two and
ascribe them to it; most have this c. (The January update's c of 4 with so low a threshold kills most latents
of `tests/dictionaries/oracle/test_defaults.py`.) They disagree on the coefficient of the penalty; that of the
January update stands in."""


class MethodConfig(FrozenSettings):
    """How a dictionary learns. What is None takes its method's default, which `resolved` fills in."""

    method: Method = "batchtopk"
    """How sparsity is reached: by the number of active latents (topk, batchtopk, matryoshka) or by a penalty
    (relu, jumprelu)."""
    k: int = Field(default=32, ge=1)
    """Active latents per token and coder, for the TopK methods."""
    skip: bool = False
    """Train a skip transcoder (Paulo et al. 2025, arXiv 2501.18823): a linear path beside the latents."""
    learning_rate: float | None = Field(default=None, gt=0)
    """The peak learning rate; by default 2e-4 / sqrt(n_latents / 2^14) for the TopK methods, 5e-5 for relu
    and 2e-4 for jumprelu."""
    warmup_steps: int | None = Field(default=None, ge=0)
    """Steps in which the learning rate rises; by default 1000 but at most a tenth of the run, and 0 for
    relu."""
    sparsity: float | None = Field(default=None, ge=0)
    """The coefficient of the sparsity penalty; by default 5 for relu and 10 for jumprelu."""
    dead_tokens: int = Field(default=10_000_000, ge=1)
    """A latent that was silent for this many tokens is dead."""
    resample: tuple[Index, ...] = ()
    """Steps of relu after which dead latents are drawn again, such as 25000,50000 (Bricken et al. 2023,
    "Towards Monosemanticity"; theirs: 25, 50, 75 and 100 thousand, dead after 12,500 batches of 8192 tokens).
    The update of April 2024 does without. Tokens are drawn from the buffer."""
    auxk: float = Field(default=1 / 32, ge=0)
    """The coefficient of AuxK, the loss that revives dead latents of the TopK methods."""
    groups: tuple[Annotated[float, Field(gt=0)], ...] = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 17 / 32)
    """The shares of the latents that the nested reconstructions of matryoshka add one after another."""
    log_threshold: float | None = None
    """Where the log-thresholds of jumprelu begin; by default 0.1, and log 0.03 for a cross-layer
    transcoder."""
    bandwidth: float | None = Field(default=None, gt=0)
    """The width of jumprelu's straight-through gradient, in units of the pre-activation; by default 2, and 1
    for a cross-layer transcoder."""
    tanh_scale: float | None = Field(default=None, gt=0)
    """The c of jumprelu's sparsity penalty; by default 4, and 1 for a cross-layer transcoder."""
    preact: float = Field(default=3e-6, ge=0)
    """The coefficient of jumprelu's penalty on pre-activations below the threshold."""
    shared_latents: float = Field(default=0.0, ge=0, lt=1)
    """The share of a crosscoder's latents that are designated shared: each writes the same at all sites, and
    is penalised less, so that what two models have in common leaves the other latents alone (crosscoder
    diffing update of February 2025)."""
    shared_penalty: float = Field(default=0.1, ge=0, le=1)
    """The sparsity penalty of designated shared latents, as a share of that of the others, for relu and
    jumprelu; the update reports 0.1 to 0.2. The TopK methods have no penalty and only tie the decoders."""
    causal: bool = False
    """Whether a crosscoder is weakly causal: each of its latents reads one site, and writes this one and the
    later ones (Lindsey et al. 2024, "Sparse Crosscoders", section 3.3.2). There are `n_latents` a site."""
    delta: float = Field(default=0.0, ge=0)
    """The coefficient of a crosscoder's delta loss: the squared error of the difference between two models,
    so that a small change is not drowned by what stays the same (arXiv 2603.04426)."""


class DictionaryConfig(MethodConfig):
    """One dictionary: what it reads and writes, how large it is, and how it learns."""

    name: str = Field(pattern=r"^[\w][\w.-]*$")
    """The name of its file in the run."""
    kind: Kind = "sae"
    """What it is: a sparse autoencoder, a transcoder, a cross-layer transcoder (clt) or a crosscoder."""
    reads: tuple[str, ...] = Field(min_length=1)
    """Addresses that it reads; `1:resid_post.4` is one of the second model of a crosscoder between models."""
    writes: tuple[str, ...] = ()
    """Addresses that it writes; those of `reads` if left out. For a `clt`, one for each of `reads`."""
    n_latents: int = Field(ge=2)
    """Latents in each coder: a `clt` or a weakly causal crosscoder has this many per layer."""

    @model_validator(mode="after")
    def _consistent(self) -> "DictionaryConfig":
        targets = self.writes or self.reads
        if self.kind in ("sae", "crosscoder") and targets != self.reads:
            raise ValueError(f"writes: a dictionary of kind {self.kind} writes where it reads")
        if self.kind in ("sae", "transcoder") and not len(self.reads) == len(targets) == 1:
            raise ValueError(f"reads: a dictionary of kind {self.kind} reads and writes one address")
        if self.kind in ("clt", "crosscoder") and len(self.reads) < 2:
            raise ValueError(f"reads: a dictionary of kind {self.kind} reads several addresses")
        if self.kind == "clt" and len(self.reads) != len(targets):
            raise ValueError("writes: a cross-layer transcoder writes one address for each that it reads")
        if self.kind in ("transcoder", "clt") and targets == self.reads:
            raise ValueError(f"writes: a dictionary of kind {self.kind} writes elsewhere than it reads")
        if self.skip and self.kind != "transcoder":
            raise ValueError("skip: only a transcoder has a linear path")
        if self.kind != "crosscoder" and (self.shared_latents or self.delta or self.causal):
            raise ValueError("shared_latents, delta, causal: they are about the sites of a crosscoder")
        if self.causal and (self.shared_latents or self.delta):
            raise ValueError("causal: a weakly causal crosscoder has no shared latents and no delta loss")
        if self.top and self.k > self.n_latents:
            raise ValueError(f"k: {self.k} of {self.n_latents} latents cannot be active")
        if self.resample and self.method != "relu":
            raise ValueError("resample: it is relu's way with dead latents, the other methods have their own")
        if self.method == "matryoshka" and abs(sum(self.groups) - 1) > 1e-6:
            raise ValueError("groups: the shares must sum to 1")
        return self

    @property
    def top(self) -> bool:
        """Whether sparsity is chosen by k, not by a penalty."""
        return self.method in ("topk", "batchtopk", "matryoshka")

    @property
    def targets(self) -> tuple[str, ...]:
        return self.writes or self.reads

    @property
    def activation(self) -> Activation:
        """What the finished dictionary has at inference."""
        return "batchtopk" if self.method == "matryoshka" else self.method

    def resolved(self, steps: int) -> "DictionaryConfig":
        """With the method's defaults in place of None."""
        rates = {"relu": 5e-5, "jumprelu": 2e-4}
        rate = rates.get(self.method, 2e-4 / (self.n_latents / 2**14) ** 0.5)
        defaults = {
            "learning_rate": rate,
            "warmup_steps": 0 if self.method == "relu" else min(1000, steps // 10),
            "sparsity": {"relu": 5.0, "jumprelu": 10.0}.get(self.method, 0.0),
            "log_threshold": math.log(CLT_THRESHOLD) if self.kind == "clt" else 0.1,
            "bandwidth": CLT_BANDWIDTH if self.kind == "clt" else 2.0,
            "tanh_scale": CLT_TANH_SCALE if self.kind == "clt" else 4.0,
        }
        missing = {name: value for name, value in defaults.items() if getattr(self, name) is None}
        return self.model_copy(update=missing)

    @property
    def group_ends(self) -> tuple[int, ...]:
        """How many latents every nested reconstruction has; only all of them, except for `matryoshka`."""
        if self.method != "matryoshka":
            return (self.n_latents,)
        ends = [round(sum(self.groups[: i + 1]) * self.n_latents) for i in range(len(self.groups))]
        return (*ends[:-1], self.n_latents)


PLACEMENT = ("latent_shards", "read_ahead")
"""Fields that say how the work is laid out. They change no result: a run may go on with others."""


class ScheduleConfig(FrozenSettings):
    """How long is trained, in which portions, and how often is written."""

    steps: int = Field(default=10_000, ge=1)
    """Batches to train on."""
    batch_tokens: int = Field(default=4096, ge=2)
    """Tokens of a batch."""
    buffer_batches: int = Field(default=32, ge=1)
    """Batches whose tokens are shuffled together, which are all that is in memory."""
    keep_outliers: bool = False
    """Train on attention sinks and massive activations too. Left out by default: tokens more than 10 times as
    long as the median token of the first buffer, of which a few are most of the variance."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """The precision of the matrix products. TopK methods only choose by bfloat16 and compute the chosen
    latents in float32."""
    log_every: int = Field(default=50, ge=1)
    """Steps between two lines of metrics."""
    checkpoint_every: int = Field(default=500, ge=1)
    """Steps between two checkpoints."""
    seed: Seed = 0
    """The seed of the weights and of the order of the tokens."""
    latent_shards: int = Field(default=1, ge=1)
    """Processes that share the latents: each holds that part of every dictionary, of its gradients and of the
    optimiser. Where torchrun starts more, each group of so many takes its share of every batch."""
    read_ahead: bool = False
    """Read the next activations while training on the present ones; takes the memory of a second buffer."""


class TrainConfig(ScheduleConfig):
    """Several dictionaries on one pass over the activations."""

    dictionaries: tuple[DictionaryConfig, ...] = Field(min_length=1)
    """The dictionaries, each with a name of its own."""

    @model_validator(mode="after")
    def _names_differ(self) -> "TrainConfig":
        names = [dictionary.name for dictionary in self.dictionaries]
        if len({*names}) != len(names):
            raise ValueError("dictionaries: two have the same name")
        late = [
            step
            for dictionary in self.dictionaries
            for step in dictionary.resample
            if not 0 < step < self.steps
        ]
        if late:
            raise ValueError(f"resample: step {late[0]} does not lie within a run of {self.steps} steps")
        return self
