"""How dictionaries are trained: each method with the constants of its paper."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mindscope.dictionaries.kinds import Activation, Kind

Method = Literal["relu", "topk", "batchtopk", "matryoshka", "jumprelu"]
"""`relu`: L1 with decoder norms (Anthropic, circuits update of April 2024). `topk`: Gao et al. 2024, arXiv
2406.04093. `batchtopk`: Bussmann et al. 2024, arXiv 2412.06410. `matryoshka`: BatchTopK with nested
reconstructions, Bussmann et al. 2025, arXiv 2503.17547. `jumprelu`: circuits update of January 2025."""


class DictionaryConfig(BaseModel):
    """One dictionary. What is None takes its method's default, which `resolved` fills in."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str = Field(pattern=r"^[\w][\w.-]*$")
    """Of its file in the run."""
    kind: Kind = "sae"
    reads: tuple[str, ...] = Field(min_length=1)
    """Addresses; `1:resid_post.4` is one of the second model of a crosscoder between models."""
    writes: tuple[str, ...] = ()
    """Those of `reads` if left out. For a `clt`, one for each of `reads`."""
    n_latents: int = Field(ge=2)
    """In each coder: of a `clt` there are so many per layer."""
    method: Method = "batchtopk"
    k: int = Field(default=32, ge=1)
    """Active latents per token and coder, for the TopK methods."""
    skip: bool = False
    """A skip transcoder (Paulo et al. 2025, arXiv 2501.18823): a linear path beside the latents."""
    learning_rate: float | None = Field(default=None, gt=0)
    """None: 2e-4 / sqrt(n_latents / 2^14) for the TopK methods, 5e-5 for relu, 2e-4 for jumprelu."""
    warmup_steps: int | None = Field(default=None, ge=0)
    """Of the learning rate. None: 1000 but at most a tenth of the run; 0 for relu."""
    sparsity: float | None = Field(default=None, ge=0)
    """The coefficient of the sparsity penalty. None: 5 for relu, 10 for jumprelu."""
    dead_tokens: int = Field(default=10_000_000, ge=1)
    """A latent that was silent for so many tokens is dead."""
    resample: tuple[int, ...] = ()
    """Steps of `relu` after which dead latents are drawn anew (Bricken et al. 2023, "Towards
    Monosemanticity"; theirs: 25, 50, 75 and 100 thousand, dead after 12,500 batches of 8192 tokens). The
    update of April 2024 does without. Tokens are drawn from the buffer."""
    auxk: float = Field(default=1 / 32, ge=0)
    """The coefficient of AuxK, the loss that revives dead latents of the TopK methods."""
    groups: tuple[float, ...] = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 17 / 32)
    """The shares of the latents that the nested reconstructions of `matryoshka` add one after another."""
    log_threshold: float = 0.1
    """Where the log-thresholds of jumprelu begin."""
    bandwidth: float = Field(default=2.0, gt=0)
    """Of jumprelu's straight-through gradient."""
    tanh_scale: float = Field(default=4.0, gt=0)
    """The c of jumprelu's sparsity penalty."""
    preact: float = Field(default=3e-6, ge=0)
    """The coefficient of jumprelu's penalty on pre-activations below the threshold."""

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
        }
        missing = {name: value for name, value in defaults.items() if getattr(self, name) is None}
        return self.model_copy(update=missing)

    @property
    def group_ends(self) -> tuple[int, ...]:
        """How many latents each nested reconstruction has; one, with all, except for `matryoshka`."""
        if self.method != "matryoshka":
            return (self.n_latents,)
        ends = [round(sum(self.groups[: i + 1]) * self.n_latents) for i in range(len(self.groups))]
        return (*ends[:-1], self.n_latents)


class TrainConfig(BaseModel):
    """Several dictionaries on one pass over the activations."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    dictionaries: tuple[DictionaryConfig, ...] = Field(min_length=1)
    steps: int = Field(ge=1)
    batch_tokens: int = Field(default=4096, ge=2)
    buffer_batches: int = Field(default=32, ge=1)
    """Tokens are shuffled within so many batches, which are all that is in memory."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the matrix products. TopK methods only choose by bfloat16 and compute the chosen in float32."""
    log_every: int = Field(default=50, ge=1)
    checkpoint_every: int = Field(default=500, ge=1)
    seed: int = 0

    @model_validator(mode="after")
    def _names_differ(self) -> "TrainConfig":
        names = [dictionary.name for dictionary in self.dictionaries]
        if len({*names}) != len(names):
            raise ValueError("dictionaries: each needs a name of its own")
        late = [step for one in self.dictionaries for step in one.resample if not 0 < step < self.steps]
        if late:
            raise ValueError(f"resample: step {late[0]} does not lie within a run of {self.steps} steps")
        return self
