"""How much work each long job is: its phases, and what takes memory and disk.

Each function counts what its job does and asks a `PaceSource` what one of it costs. The defaults of the sizes
are those of the jobs' own configurations.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from mindscope.core import FrozenSettings
from mindscope.errors import DataError
from mindscope.jobs.planning.paces import CoderSize, PaceSource
from mindscope.jobs.planning.results import PlannedBytes, PlannedPhase

if TYPE_CHECKING:
    from mindscope.models import ModelShape

KINDS = 3
"""Kinds of vectors that an extraction reads: of answers, of prompts, of the last prompt token."""
LATENTS_PER_DIMENSION = 16
"""As `dictionary train` has it."""
ADAM = 16
"""Bytes a trained number in float32: itself, its gradient, and two moments."""
FIRST_LOOK = 2**15
"""Tokens that set the scale and the first weights; five copies of them are made on the way."""
WINDOW = 8
"""Batches in a window of answers, as jobs fill them."""
USUAL_SPREAD = 0.7
"""Of the logarithms of answers' lengths: chats have 0.5 to 1 (`engines/forecast.py`)."""
FIXED_SHARE = 0.5
"""The share of a full step's time that a step with a few rows takes (`engines/forecast.py`)."""
ALLOCATED = 1.1
"""What allocators take beyond what is asked of them: measured on a CPU as 1.05 to 1.15."""


class PlanSizes(FrozenSettings):
    """How large a job is. What a job has no use for is not looked at."""

    rows: int | None = Field(default=None, ge=1)
    """Conversations, texts or prompts; by default what the job reads where nobody says."""
    context: int = Field(default=256, ge=2)
    """Tokens of a row that is read or trained on, or of the prompt of a graph."""
    samples: int | None = Field(default=None, ge=1)
    """Answers per prompt; by default the job's own number."""
    prompt_tokens: int = Field(default=60, ge=1)
    """Tokens of a prompt that is answered."""
    answer_tokens: int | None = Field(default=None, ge=1)
    """Tokens that an answer has on the average; by default as many as it may have, so that the plan says what
    it takes at most."""
    batch_rows: int | None = Field(default=None, ge=1)
    """Answers written side by side, or conversations of a training pass; by default the job's own number."""
    steps: int | None = Field(default=None, ge=1)
    """Training steps; by default the job's own number, or once through the rows."""
    kind: Literal["sae", "transcoder", "clt", "crosscoder"] = "sae"
    """The dictionary's kind."""
    n_latents: int | None = Field(default=None, ge=2)
    """Latents of a coder; 16 times the model's width by default."""
    n_layers: int | None = Field(default=None, ge=1)
    """Layers that have dictionaries, or are swept; all by default."""
    k: int = Field(default=32, ge=1)
    """Active latents of a coder and token."""
    batch_tokens: int = Field(default=4096, ge=2)
    """Tokens of a dictionary's training batch."""
    nodes: int = Field(default=7500, ge=1)
    """Features of a graph."""
    method: Literal["rslora", "lora", "full"] = "rslora"
    """Fine-tune adapters or all weights."""
    form: Literal["exact", "prompt"] = "exact"
    """Screen against own answers, or against the prompt's last token."""
    traits: int = Field(default=1, ge=1)
    """Traits or vectors that are worked with."""


@dataclass(frozen=True)
class JobWork:
    """What a job is made of.

    Attributes:
        phases: what is done one after the other.
        memory: by name, bytes beside the process and the weights, on the device that computes.
        disk: by name, bytes of the run.
        host: bytes that stay in the host's memory, whatever computes.
        is_most: whether answers are counted as long as they may be.
        weight_bytes: of a number of the model.
        notes: what is assumed.
    """

    phases: tuple[PlannedPhase, ...]
    memory: Mapping[str, float]
    disk: Mapping[str, float]
    host: Mapping[str, float] = field(default_factory=dict)
    is_most: bool = False
    weight_bytes: float | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class WorkCounter:
    """Counts the work of a job on a model of some shape.

    Attributes:
        shape: the model.
        sizes: the job's.
        pace: what one of each costs.
        split: over how many devices latents and optimisers are shared out.
    """

    shape: ModelShape
    sizes: PlanSizes
    pace: PaceSource
    split: int = 1

    @property
    def layers(self) -> int:
        return min(self.sizes.n_layers or self.shape.n_layers, self.shape.n_layers)

    @property
    def latents(self) -> int:
        return self.sizes.n_latents or LATENTS_PER_DIMENSION * self.shape.d_model

    @property
    def coder(self) -> CoderSize:
        """One coder at one layer."""
        return CoderSize(
            self.shape.d_model, self.latents, min(self.sizes.k, self.latents), self.shape.d_model
        )

    def extract(self) -> JobWork:
        """Answers of both sides, read at every layer: 5 instructions x 20 questions x samples x 2."""
        from mindscope.personas import ExtractConfig

        config, places = ExtractConfig(), self.shape.n_layers + 2
        count = self.sizes.rows or 2 * 5 * 20 * (self.sizes.samples or config.samples)
        answers = self._answers(count, config, reads=True)
        kept = 4.0 * KINDS * places * self.shape.d_model * count
        statistics = PlannedPhase(
            name="intervals",
            work=f"{config.resamples:,} resamples at {places} places",
            seconds=self.pace.multiply(
                2.0 * config.resamples * KINDS * places * self.shape.d_model * count / 2
            ),
        )
        return self._with(answers, [statistics], {"means of answers": kept / 2}, {"readings": kept})

    def sweep(self) -> JobWork:
        """An arm for each layer and coefficient, and one without steering."""
        from mindscope.personas import SweepConfig

        config = SweepConfig()
        questions = self.sizes.rows or config.questions or 20
        arms = 1 + self.layers * len(config.coefficients)
        count = arms * questions * (self.sizes.samples or config.samples)
        note = "without the random vectors that a chosen point is compared with"
        return self._with(self._answers(count, config), notes=(note,))

    def steer(self) -> JobWork:
        """Three arms, and one for each random vector."""
        from mindscope.personas import SteerConfig

        config = SteerConfig()
        count = (3 + config.n_random) * (self.sizes.rows or 20) * (self.sizes.samples or config.samples)
        return self._answers(count, config)

    def screen(self) -> JobWork:
        """Every conversation read; in the exact form one own answer each, read too."""
        from mindscope.screening import ScreenConfig

        config, rows = ScreenConfig(), self.sizes.rows or 1000
        read = self._read("the data", rows, self.sizes.context)
        if self.sizes.form == "prompt":
            return JobWork((read,), {}, {"scores": 64.0 * rows * self.sizes.traits})
        answers = self._answers(rows * (self.sizes.samples or config.samples), config)
        own = self._read("own answers", rows, self.sizes.prompt_tokens + self._length(config)[0])
        return self._with(answers, [read, own], {}, {"scores": 64.0 * rows * self.sizes.traits})

    def shift(self) -> JobWork:
        """Each of two models reads every prompt."""
        rows = self.sizes.rows or 1000
        reads = tuple(self._read(f"model {name}", rows, self.sizes.prompt_tokens) for name in ("a", "b"))
        kept = 4.0 * self.layers * self.shape.d_model * rows * 2
        return JobWork(reads, {}, {"readings": kept}, {"readings": kept})

    def finetune(self) -> JobWork:
        """Steps of a batch, accumulated; weights that are trained are in float32."""
        from mindscope.finetuning import FinetuneConfig

        config, rows = FinetuneConfig(), self.sizes.rows or 1000
        side = self.sizes.batch_rows or config.batch_rows
        per_step = side * config.accumulation
        steps = self.sizes.steps or -(-rows // per_step)
        adapters = self.sizes.method != "full"
        token = self.pace.tune_token(self.sizes.context, side, adapters=adapters)
        tokens = steps * per_step * self.sizes.context
        phase = PlannedPhase(
            name="training", work=f"{steps:,} steps of {per_step} rows", seconds=tokens * token
        )
        trained = (
            self.shape.parameters
            if not adapters
            else 2.0 * config.rank * 14 * (self.shape.d_model * self.shape.n_layers)
        )
        checkpoints = -(-steps // config.save_every)
        weights = 4.0 * self.shape.parameters if not adapters else 4.0 * trained
        disk = {"checkpoints": checkpoints * (weights + 8.0 * trained), "tuned model": weights}
        memory = {} if not adapters else {"adapters": ADAM * trained}
        if not adapters:
            memory = {"gradients and moments": (ADAM - 4.0) * trained}
        return JobWork((phase,), memory, disk, weight_bytes=None if adapters else 4.0)

    def record(self) -> JobWork:
        """Every token's activations, to disk."""
        rows = self.sizes.rows or -(-1_000_000 // self.sizes.context)
        kept = 4.0 * rows * self.sizes.context * self.shape.d_model * self.layers
        return JobWork((self._read("the corpus", rows, self.sizes.context),), {}, {"activations": kept})

    def train(self) -> JobWork:
        """Steps of every dictionary on the same tokens, by Adam in float32."""
        from mindscope.dictionaries import ScheduleConfig

        schedule, kind, width = ScheduleConfig(), self.sizes.kind, self.shape.d_model
        steps, batch = self.sizes.steps or schedule.steps, self.sizes.batch_tokens
        names = [f"a.{layer}" for layer in range(self.layers)]
        whole = kind in ("clt", "crosscoder")
        reads = tuple(names) if whole else ("a.0",)
        config: dict[str, Any] = {"name": "x", "kind": kind, "reads": reads}
        config |= {"n_latents": self.latents, "k": min(self.sizes.k, self.latents)}
        if kind in ("transcoder", "clt"):
            config["writes"] = tuple(name.replace("a", "b") for name in reads)
        n_trained = 1 if whole else self.layers
        weights = float(count_weights(kind, self.layers, self.latents, width))
        tokens = steps * batch
        token = self.pace.read_token(self.sizes.context)
        reading = PlannedPhase(name="reading", work=f"{tokens:,} tokens", seconds=tokens * token)
        step = n_trained * self.pace.train_dictionary(config, width, batch)
        training = PlannedPhase(
            name="training",
            work=f"{steps:,} steps of {n_trained} {'dictionary' if n_trained == 1 else 'dictionaries'}",
            seconds=steps * step,
        )
        sites = self.layers * (2 if kind in ("transcoder", "clt") else 1)
        memory = {
            "weights, gradients and moments of the dictionaries": ADAM * weights / self.split,
            "a batch": 4.0 * 4 * batch * (width * sites + self.latents * n_trained),
        }
        buffer = 4.0 * schedule.buffer_batches * batch * width * sites
        disk = {"checkpoint, and the one that replaces it": 2 * 12.0 * weights, "dictionaries": 4.0 * weights}
        notes = ()
        if self.split > 1:
            notes = (f"latents and tokens are shared out over {self.split} devices",)
        look = 4.0 * width * sites * min(FIRST_LOOK, schedule.buffer_batches * batch)
        host = {"buffer of activations, and a copy without outliers": 2 * buffer, "a first look": 5 * look}
        return JobWork((reading, training), memory, disk, host, notes=notes)

    def evaluate(self) -> JobWork:
        """Rows read once, and predicted four times: as they are, spliced, and with two ablations."""
        rows = self.sizes.rows or 256
        tokens = rows * self.sizes.context
        read = self._read("reading", rows, self.sizes.context)
        code = self.layers * self.pace.encode_token(self.coder)
        predict = self.pace.predict_token(self.sizes.context)
        arms = PlannedPhase(
            name="splicing",
            work=f"4 passes of {tokens:,} tokens",
            seconds=tokens * (4 * predict + code),
        )
        encoding = PlannedPhase(name="encoding", work=f"{self.layers} coders", seconds=tokens * code)
        size = 4.0 * count_weights("transcoder", self.layers, self.latents, self.shape.d_model)
        return JobWork((read, encoding, arms), {"dictionaries": size}, {})

    def survey(self) -> JobWork:
        """Rows read, encoded, and what each feature needs kept."""
        from mindscope.explain import SurveyConfig

        config, rows = SurveyConfig(), self.sizes.rows or 10_000
        tokens, features = rows * self.sizes.context, self.layers * self.latents
        code = self.layers * self.pace.encode_token(self.coder)
        active = self.layers * min(self.sizes.k, self.latents)
        keeping = self.pace.survey_token(features, active, self.sizes.context)
        phases = (
            self._read("reading", rows, self.sizes.context),
            PlannedPhase(name="encoding", work=f"{self.layers} coders", seconds=tokens * code),
            PlannedPhase(name="keeping", work=f"{features:,} features", seconds=tokens * keeping),
        )
        state = float(features * bytes_of_feature(config))
        size = 4.0 * count_weights("transcoder", self.layers, self.latents, self.shape.d_model)
        pairs = 28.0 * min(config.most_pairs, tokens * active)
        host = {"tables of the features": state, "pairs with tokens": 2 * pairs}
        disk = {"survey": state + pairs, "state": state, "rows": 8.0 * tokens}
        return JobWork(phases, {"dictionary": size}, disk, host)

    def trace(self) -> JobWork:
        """One graph: a row a node, carried down through all layers."""
        tokens = self.sizes.context
        nodes = min(self.sizes.nodes, round(self.shape.n_layers * self.coder.active * tokens))
        seconds = self.pace.trace_graph(self.coder, tokens, nodes)
        phase = PlannedPhase(name="tracing", work=f"{nodes:,} nodes on {tokens:,} tokens", seconds=seconds)
        memory, disk = graph_bytes(self.shape, self.coder, tokens, nodes)
        return JobWork((phase,), memory, disk, weight_bytes=4.0)

    def _read(self, name: str, rows: int, tokens: int) -> PlannedPhase:
        each = self.pace.read_token(tokens)
        work = f"{rows:,} rows of {tokens:,} tokens"
        return PlannedPhase(name=name, work=work, seconds=rows * tokens * each)

    def _length(self, config: Any) -> tuple[int, bool]:
        """Tokens of an answer, and whether that is the most it may have."""
        if self.sizes.answer_tokens is not None:
            return self.sizes.answer_tokens, False
        return config.max_new_tokens or self.sizes.context, True

    def _answers(self, count: int, config: Any, *, reads: bool = False) -> JobWork:
        side = min(count, self.sizes.batch_rows or config.batch_rows)
        length, is_most = self._length(config)
        limit = config.max_new_tokens or self.sizes.context
        pace = self.pace.answer(self.sizes.prompt_tokens, side, reads=reads)
        work = f"{count:,} answers of {length:,} tokens, {side} side by side"
        phases = [PlannedPhase(name="answers", work=work, seconds=pace.seconds(count, length))]
        # At the end of every window the longest answers are written on with few beside them.
        windows = -(-count // (WINDOW * side))
        longest = find_longest(length, min(count, WINDOW * side), limit)
        steps = windows * max(0, longest - length)
        if steps:
            tail = f"{steps:,} steps with few rows"
            phases.append(
                PlannedPhase(
                    name="longest answers", work=tail, seconds=steps * FIXED_SHARE * pace.step_seconds
                )
            )
        # A job looks at a few of its first answers before it says how long it will take.
        look = 2 * pace.prompt_seconds + min(52 * pace.step_seconds, 0.1 * pace.seconds(count, length))
        phases.insert(0, PlannedPhase(name="a first look", work="a few tokens", seconds=look))
        # A batch is as wide as its longest answer.
        cache = float(self.shape.cache_bytes) * side * (self.sizes.prompt_tokens + limit)
        memory, disk = {"keys and values": cache}, {"answers": 60.0 * count * length}
        return JobWork(tuple(phases), memory, disk, is_most=is_most)

    def _with(
        self,
        work: JobWork,
        phases: Any = (),
        host: Mapping[str, float] | None = None,
        disk: Mapping[str, float] | None = None,
        notes: tuple[str, ...] = (),
    ) -> JobWork:
        return JobWork(
            (*work.phases, *phases),
            work.memory,
            {**work.disk, **(disk or {})},
            {**work.host, **(host or {})},
            work.is_most,
            work.weight_bytes,
            notes,
        )


def find_longest(mean: float, count: int, limit: int) -> int:
    """The longest of some answers whose lengths are lognormal with the usual spread, about.

    The largest of n normal variables is expected at the quantile (n - 3/8) / (n + 1/4) (Blom 1958).
    """
    if mean >= limit or count < 2:
        return round(mean)
    place = NormalDist().inv_cdf((count - 0.375) / (count + 0.25))
    above = USUAL_SPREAD * place - USUAL_SPREAD**2 / 2
    return round(min(limit, mean * math.exp(above)))


def count_weights(kind: str, layers: int, latents: int, width: int) -> int:
    """Numbers of all dictionaries of a kind, without biases.

    A cross-layer transcoder has a decoder for its own layer and for each one behind it.
    """
    encoders = layers * latents * width
    if kind == "clt":
        return encoders + latents * width * layers * (layers + 1) // 2
    return latents * width * layers * 2 if kind == "crosscoder" else 2 * encoders


def bytes_of_feature(config: Any) -> int:
    """What a survey keeps of one feature: moments, a histogram, and its contexts with their windows."""
    window = config.before + 1 + config.after
    return 40 + 8 * 65 + (config.top + config.sample) * (32 + 2 * window)


def graph_bytes(
    shape: ModelShape, coder: CoderSize, tokens: int, nodes: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Memory and disk of a graph, by what takes it."""
    features = float(shape.n_layers * coder.active * tokens)
    pattern = 4.0 * shape.n_heads * tokens**2
    rows = 4.0 * nodes * features / 2  # a row reaches what lies before it: half of all, on the average
    edges = 4.0 * nodes * (nodes + (shape.n_layers + 1) * tokens)
    weights = 4.0 * count_weights("transcoder", shape.n_layers, coder.latents, coder.d_in)
    memory = {
        "transcoders": weights,
        "attention patterns": 2 * shape.n_layers * pattern,
        "what features write": min(features * coder.d_out * 4.0, weights) + 60.0 * features,
        "errors and biases": 4 * 4.0 * shape.n_layers * tokens * coder.d_out,
        "rows": rows,
        "edges": 2 * edges,
    }
    return memory, {"graph": edges}


_PAGES = ("sklearn.linear_model", "matplotlib.pyplot", "pyarrow")
LONG_JOBS: Mapping[str, tuple[tuple[str, ...], Callable[[WorkCounter], JobWork]]] = {
    "persona extract": (("mindscope.personas", *_PAGES), WorkCounter.extract),
    "persona sweep": (("mindscope.personas", *_PAGES), WorkCounter.sweep),
    "persona steer": (("mindscope.personas", *_PAGES), WorkCounter.steer),
    "persona screen": (("mindscope.screening", *_PAGES), WorkCounter.screen),
    "persona shift": (("mindscope.personas", *_PAGES), WorkCounter.shift),
    "persona finetune": (("mindscope.finetuning", "peft", "trl", "pyarrow"), WorkCounter.finetune),
    "dictionary train": (("mindscope.dictionaries",), WorkCounter.train),
    "dictionary record": (("mindscope.dictionaries",), WorkCounter.record),
    "dictionary evaluate": (("mindscope.dictionaries", *_PAGES), WorkCounter.evaluate),
    "feature survey": (("mindscope.explain", *_PAGES), WorkCounter.survey),
    "circuit trace": (("mindscope.circuits", *_PAGES), WorkCounter.trace),
}
"""By the name of its command: what the job imports, and what counts its work."""


def count_work(job: str, counter: WorkCounter) -> JobWork:
    """What a job is made of.

    Raises:
        DataError: there is no plan for such a job.
    """
    if job not in LONG_JOBS:
        raise DataError(f"there is no plan for '{job}': name one of {', '.join(LONG_JOBS)}")
    return LONG_JOBS[job][1](counter)


def as_bytes(parts: Mapping[str, float]) -> tuple[PlannedBytes, ...]:
    """Parts as a plan names them; what takes nothing is left out."""
    return tuple(
        PlannedBytes(name=name, bytes=round(count)) for name, count in parts.items() if round(count) > 0
    )
