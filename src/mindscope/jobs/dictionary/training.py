"""Training dictionaries: the plan of one per layer or one over all, and the activations they learn from."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from mindscope.core import Index, require_same_model
from mindscope.dictionaries import MethodConfig, ScheduleConfig
from mindscope.errors import DataError
from mindscope.jobs.dictionary.inputs import (
    CorpusSpec,
    DictionaryFacts,
    TwoEnginesSpec,
    describe_dictionary,
    find_dictionaries,
    read_rows_of,
)
from mindscope.jobs.job import Reporter, RunFolder, build_config
from mindscope.jobs.planning import PlanSizes, announce_plan, mean_length
from mindscope.jobs.resolve import dictionary_file
from mindscope.jobs.specs import EngineSpec
from mindscope.store import Document, path_exists

if TYPE_CHECKING:
    from mindscope.dictionaries import ActivationSource, Dictionary, TextCorpus, TrainConfig, TrainingWorld
    from mindscope.engines import Engine

LATENTS_PER_DIMENSION = 16
"""Latents per dimension of the model, where no number is given: a common size of published SAEs."""
WORTH_SAYING = 200
"""Steps from which the three are worth their time by which the others' is told."""
LOOK = 64
"""Rows whose length tells that of all."""
EXCLUSIVE = 0.9
"""The share of a latent's decoder norm that must lie in one model for the latent to be only that model's."""


class TrainDictionariesSpec(TwoEnginesSpec, MethodConfig, ScheduleConfig, CorpusSpec):
    """What `train` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("model", "corpus")
    options: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "n_latents": ("--latents",),
        "skip": ("--skip-connection",),
        "configuration": ("--config",),
        "begin_with": ("--begin-with",),
    }

    corpus: str
    """Texts (.txt, or a column `text`), conversations (docs/data.md has the forms), a folder of recorded
    activations, or `organism`, the organism's own corpus."""
    kind: Literal["sae", "transcoder", "clt", "crosscoder"] = "sae"
    """What is trained: a sparse autoencoder or a transcoder at every layer, or a cross-layer transcoder (clt)
    or crosscoder over all of them."""
    layers: tuple[Index, ...] | None = None
    """The layers, such as 0,2,5; all by default."""
    site: str = "resid_post"
    """The hook point that an sae or crosscoder reads at every layer."""
    n_latents: int | None = Field(default=None, ge=2)
    """Latents per coder; 16 times the model's width by default."""
    configuration: Path | None = None
    """A JSON file with the whole training configuration, in place of the options that say it."""
    skip_tokens: int = Field(default=0, ge=0)
    """Tokens at the beginning of every row that are left out."""
    begin_with: tuple[str, ...] = ()
    """Finished dictionaries to begin with in place of random weights, such as those of the model before it
    was tuned: files, or the folder of a training, with the names that are trained here. May be repeated."""
    track: Literal["tensorboard", "trackio", "wandb"] | None = None
    """Show the metrics there too."""

    @model_validator(mode="after")
    def _require_active_latents(self) -> Self:
        if self.n_latents is not None and self.k > self.n_latents:
            raise DataError(f"--k: {self.k} of {self.n_latents} latents cannot be active")
        return self

    @model_validator(mode="after")
    def _require_crosscoder(self) -> Self:
        if self.second_model is not None and self.kind != "crosscoder" and self.configuration is None:
            raise DataError("--second-model: only a crosscoder reads two models; add --kind crosscoder")
        return self

    def run_path(self) -> Path:
        """`runs/dictionaries`."""
        return Path("runs/dictionaries")

    def read_configuration(self) -> dict[str, Any] | None:
        """What the file of `configuration` holds; None without one."""
        from mindscope.store import read_json

        if self.configuration is None:
            return None
        content = read_json(self.configuration)
        if not isinstance(content, dict):
            raise DataError(
                f"{self.configuration} must hold one JSON object, the fields of a training configuration"
            )
        return content

    def plan(self, model: Engine) -> list[dict[str, Any]]:
        """The dictionaries' configurations: one for each layer; a CLT or crosscoder over all of them."""
        layers = range(model.n_layers) if self.layers is None else self.layers
        shared: dict[str, Any] = {name: getattr(self, name) for name in MethodConfig.model_fields}
        shared |= {"kind": self.kind, "n_latents": self.n_latents or LATENTS_PER_DIMENSION * model.d_model}
        if self.kind in ("transcoder", "clt"):
            addresses = [(f"mlp_in.{layer}", f"mlp_out.{layer}") for layer in layers]
        else:
            addresses = [(f"{self.site}.{layer}", f"{self.site}.{layer}") for layer in layers]
        if self.second_model is not None:
            addresses += [(f"1:{read}", f"1:{write}") for read, write in addresses]
        if self.kind in ("clt", "crosscoder"):
            reads, writes = zip(*addresses, strict=True)
            return [shared | {"name": self.kind, "reads": reads, "writes": writes}]
        return [
            shared
            | {
                "name": read if self.kind == "sae" else f"{self.kind}.{layer}",
                "reads": (read,),
                "writes": (write,),
            }
            for layer, (read, write) in zip(layers, addresses, strict=True)
        ]


class TrainedDictionary(DictionaryFacts):
    """A dictionary, and the last that was measured of it in training; None where nothing was.

    Attributes:
        only_first, only_second: latents of a crosscoder between two models of whose decoder norm at least
            nine tenths lie in one of them; None for other dictionaries.
    """

    l0: float | None
    explained_variance: float | None
    dead: float | None
    only_first: int | None = None
    only_second: int | None = None


class TrainingReport(Document):
    """The dictionaries that were trained, and the folder that holds them.

    Attributes:
        tokens: that were read for them; None where all count.
        outliers: of these, attention sinks and massive activations that were left out; None where all count.
    """

    run: str
    dictionaries: tuple[TrainedDictionary, ...]
    tokens: int | None = None
    outliers: int | None = None


class RecordSpec(EngineSpec, CorpusSpec):
    """What `record` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("model", "corpus")

    sites: str
    """The addresses to record, such as resid_post.2,mlp_in.3."""
    tokens: int = Field(default=1_000_000, ge=1)
    """How many tokens to write, at least."""
    skip_tokens: int = Field(default=0, ge=0)
    """Tokens at the beginning of every row that are left out."""

    def run_path(self) -> Path:
        """`runs/activations`."""
        return Path("runs/activations")


class RecordingReport(Document):
    """The folder that holds the activations."""

    activations: str


def train(spec: TrainDictionariesSpec, *, run: RunFolder, reporter: Reporter) -> TrainingReport | None:
    """Train dictionaries, one per layer, on one pass over the model; stopped, the same command goes on.

    Returns:
        What was trained; None in all but the first of several processes that train together.
    """
    from mindscope.dictionaries import PLACEMENT, TrainConfig, read_left_out, torchrun_world
    from mindscope.dictionaries import train as train_dictionaries
    from mindscope.models import Model, find_device, own_device

    content = spec.read_configuration()
    _require_one_reader(spec)
    models = spec.load_engines(own_device(spec.device))
    model = models[0]
    # copies of a model elsewhere only read: the dictionary is trained here
    device = model.device if isinstance(model, Model) else find_device(spec.device)
    if content is None:
        schedule = {name: getattr(spec, name) for name in ScheduleConfig.model_fields}
        content = {"dictionaries": spec.plan(model), **schedule}
    config = build_config(TrainConfig, content)
    settings = config.model_dump(mode="json", exclude={*PLACEMENT}) | {
        "corpus": spec.corpus_name,
        "context": spec.context,
        "skip": spec.skip_tokens,
    }
    begin_with = _read_begun(spec, config)
    if begin_with:
        settings["begin_with"] = {name: begun.digest() for name, begun in begin_with.items()}
    if spec.second_model is not None:  # the run's fingerprint is the first model's
        settings["second_model"] = models[1].fingerprint
    with torchrun_world() as world:
        # all processes render chats with the day on which the run began
        clock = world.of_first(run.started)
        models = [read.with_template(clock=clock) for read in models]
        source = _open_source(spec, models, config, world.apart() if config.read_ahead else world)
        if not world.first:
            train_dictionaries(source, run.path, config, device, world=world, begin_with=begin_with)
            return None
        with run.open(
            kind="dictionary-train",
            config=settings,
            reporter=reporter,
            model=model,
            seed=config.seed,
        ) as opened:
            if spec.track is not None:
                opened.track(spec.track)
            if not opened.resumed and config.steps >= WORTH_SAYING and isinstance(model, Model):
                announce_plan(reporter, "dictionary train", model, _sizes(spec, model, config))
            trained = train_dictionaries(source, opened, config, device, reporter.progress, world, begin_with)
            last = {line["dictionary"]: line for line in opened.metrics()}
            rows = [_describe_trained(name, trained[name], last.get(name, {})) for name in trained]
            # all dictionaries of a run are trained on the same tokens
            left_out = read_left_out(next(iter(trained.values())).metadata)
            counts = {} if left_out is None else {"tokens": left_out.read, "outliers": left_out.outliers}
            opened.finish(dictionaries=[row.to_json() for row in rows], **counts)
    return TrainingReport(run=str(run.path), dictionaries=tuple(rows), **counts)


def record(spec: RecordSpec, *, run: RunFolder, reporter: Reporter) -> RecordingReport:
    """Write a model's activations to disk, to train on without the model."""
    from mindscope.dictionaries import ModelSource, write_shards
    from mindscope.models import Model

    model = spec.load_engine().with_template(clock=run.started)
    addresses = tuple(spec.sites.split(","))
    corpus = read_rows_of(model, spec)
    source = ModelSource([model], addresses, corpus, skip=spec.skip_tokens)
    settings = {
        "corpus": spec.corpus_name,
        "sites": addresses,
        "tokens": spec.tokens,
        "context": spec.context,
        "skip": spec.skip_tokens,
    }
    with run.open(kind="activations", config=settings, reporter=reporter, model=model) as opened:
        if not opened.resumed and isinstance(model, Model):  # no machine but this one is measured
            length = _look(corpus)
            sizes = PlanSizes(
                rows=max(1, spec.tokens // length),
                context=length,
                n_layers=min(len(addresses), model.n_layers),
            )
            announce_plan(reporter, "dictionary record", model, sizes)
        write_shards(source, opened, tokens=spec.tokens)
    return RecordingReport(activations=str(run.path))


def _read_begun(spec: TrainDictionariesSpec, config: TrainConfig) -> dict[str, Dictionary]:
    """What each dictionary begins with, by its name, if anything is given; DataError if one has nothing."""
    from mindscope.dictionaries import Dictionary

    files = find_dictionaries([dictionary_file(name) for name in spec.begin_with])
    names = [planned.name for planned in config.dictionaries]
    if len(files) == len(names) == 1:  # whatever they are called
        files = dict(zip(names, files.values(), strict=True))
    begun = {name: Dictionary.load(path) for name, path in files.items() if name in names}
    missing = [name for name in names if name not in begun]
    if spec.begin_with and missing:
        raise DataError(f"--begin-with has nothing for {', '.join(missing)}, only {', '.join(files)}")
    return begun


def _require_one_reader(spec: TrainDictionariesSpec) -> None:
    """Refuse several processes that would each start copies of the model."""
    if spec.engine != "eager" and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise DataError(
            "--engine ray is for one process: record the activations with it first, and train on the folder "
            "under torchrun"
        )


def _sizes(spec: TrainDictionariesSpec, model: Engine, config: TrainConfig) -> PlanSizes:
    """What is trained, as a plan has it; of several dictionaries the first tells what all are like."""
    from mindscope.dictionaries import INDEX

    first = config.dictionaries[0]
    is_recorded = path_exists(Path(spec.corpus) / INDEX)
    return PlanSizes(
        context=spec.context if is_recorded else _look(read_rows_of(model, spec)),
        steps=config.steps,
        batch_tokens=config.batch_tokens,
        kind=first.kind,
        causal=first.causal,
        n_latents=first.n_latents,
        n_layers=len(first.reads) if first.kind in ("clt", "crosscoder") else len(config.dictionaries),
        k=first.k,
    )


def _look(corpus: TextCorpus) -> int:
    """Tokens of a row of a corpus, by its first rows."""
    return mean_length(list(islice(corpus(0), LOOK)))


def _open_source(
    spec: TrainDictionariesSpec, models: Sequence[Engine], config: TrainConfig, world: TrainingWorld
) -> ActivationSource:
    """Recorded activations, or the models as they read the corpus."""
    from mindscope.dictionaries import INDEX, ModelSource, ShardSource

    if path_exists(Path(spec.corpus) / INDEX):
        shards = ShardSource(spec.corpus)
        for fingerprint in shards.models.values():
            subject = f"{spec.corpus} holds the activations of"
            require_same_model(subject, fingerprint, models[0], "record them again")
        return shards
    addresses = dict.fromkeys(
        address for dictionary in config.dictionaries for address in (*dictionary.reads, *dictionary.targets)
    )
    corpus = read_rows_of(models[0], spec)
    return ModelSource(models, tuple(addresses), corpus, skip=spec.skip_tokens, world=world)


def _describe_trained(name: str, dictionary: Dictionary, line: Mapping[str, Any]) -> TrainedDictionary:
    from mindscope.dictionaries import relative_decoder_norms

    measured = {key: line.get(key) for key in ("l0", "explained_variance", "dead")}
    if len(dictionary.models) == 2:
        _, second = dictionary.models
        shares = relative_decoder_norms(dictionary, second)
        measured["only_first"] = int((shares <= 1 - EXCLUSIVE).sum())
        measured["only_second"] = int((shares >= EXCLUSIVE).sum())
    return TrainedDictionary.model_validate(describe_dictionary(name, dictionary) | measured)
