"""How far a model moved along persona vectors when it was trained: tuned minus base, layer by layer.

The fine-tuning shift of Chen et al. 2025, arXiv 2507.21509: the mean activation of the last prompt token
over evaluation prompts, of the tuned model minus that of the base model, projected on ``v / |v|``.
"""

import gc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from mindscope.core import Progress
from mindscope.errors import DataError
from mindscope.models import LoadOptions, Message, Model, Row, TemplateRecord, describe_prompts, load
from mindscope.personas.config import ShiftConfig, ShiftPosition
from mindscope.personas.shift.projections import LayerUnits, ModelProjections, read_projections
from mindscope.personas.shift.results import ModelShift, ShiftResult, TraitShift
from mindscope.personas.vectors import PersonaVectors
from mindscope.stats import bootstrap_intervals
from mindscope.store import Run, claim, digest

Prompt = str | Sequence[Message]
"""A question without a system prompt, or the turns before an answer."""
Tuned = Model | str | Path


def measure_shift(
    base: Model,
    tuned: Tuned | Sequence[Tuned],
    vectors: PersonaVectors | Sequence[PersonaVectors],
    prompts: Sequence[Prompt],
    config: ShiftConfig | None = None,
    *,
    run: Run | None = None,
    part: str = "shift",
    options: LoadOptions | None = None,
    progress: Progress | None = None,
) -> ShiftResult:
    """The movement of ``tuned`` away from ``base`` along every vector at every layer.

    Both models read the same token ids. The interval draws prompts with replacement; each prompt keeps
    its pair of activations, and all vectors, layers and checkpoints share the draws, so that their
    intervals can be compared. It covers the choice of prompts, not the luck of training.

    Args:
        base: the model the vectors were made from.
        tuned: one model, or several: the checkpoints of a training run. A name or folder is loaded in the
            base model's dtype, one at a time, and let go again.
        vectors: of one trait or several.
        prompts: at least two. The paper's are the trait's evaluation questions.
        config: layers, kind of vectors, whether and how to answer.
        run: keeps what was read of each model, so that a measurement that was killed goes on, and one with
            answers, or more of them, takes what is there.
        part: the folder of this measurement in the run.
        options: how tuned models are loaded, besides the base model's dtype.
        progress: called with (prompts done, prompts in all, model).

    Raises:
        DataError: fewer than two prompts, vectors of another model, a tuned model of another shape, one
            that tokenizes a prompt otherwise, or no prompt that both models answered.
        StoreError: the run holds this part made from something else.
    """
    config = config or ShiftConfig()
    traits = [vectors] if isinstance(vectors, PersonaVectors) else list(vectors)
    models = [tuned] if isinstance(tuned, Model | str | Path) else list(tuned)
    if len(prompts) < 2 or not traits or not models:
        raise DataError("a shift needs a tuned model, a vector and two prompts, or it has no interval")
    if len({item.trait for item in traits}) < len(traits):
        raise DataError("two of the vectors have the same trait: give each trait once")
    if run is not None:
        base = base.with_template(clock=run.started)
    for item in traits:
        item.require(base)
    places = _places(traits, config, base)
    rows = render_prompts(base, prompts)
    if run is not None:
        claim(
            run,
            part,
            {
                "fingerprint": base.fingerprint,
                "dtype": str(base.dtype).removeprefix("torch."),
                "vectors": [item.digest() for item in traits],
                "prompts": digest({"rows": [row.ids for row in rows]}),
                "template": describe_prompts(base),
                "config": config.model_dump(mode="json", include={"layers", "kind"}),
            },
            read=_without_answers,
        )
        if config.answers:  # what is not read claims nothing
            claim(run, f"{part}/answers", {"config": config.deciding("answers")})
    before = read_projections(base, rows, places, config, run, part, progress)

    def move_of(candidate: Tuned) -> ModelShift:
        """What one tuned model moved; one that was loaded for it is gone when this returns."""
        model = candidate if isinstance(candidate, Model) else load(candidate, _alike(base, options))
        model = model.with_template(clock=base.template.clock, **base.template.options)
        _require_alike(base, model, rows, prompts)
        after = read_projections(model, rows, places, config, run, part, progress)
        return ModelShift(
            model=model.name,
            fingerprint=model.fingerprint,
            movements=_movements(before, after, places, config),
        )

    moved: list[ModelShift] = []
    for candidate in models:
        moved.append(move_of(candidate))
        gc.collect()  # modules and their hooks refer to each other, so counting references frees nothing
    return ShiftResult(
        base=base.name,
        fingerprint=base.fingerprint,
        config=config,
        prompts=len(rows),
        tuned=tuple(moved),
        borrowed=base.borrowed,
        template=TemplateRecord.of(base),
    )


def _alike(base: Model, options: LoadOptions | None) -> LoadOptions:
    """How a tuned model is loaded: in the base's precision, and on its device where that is one."""
    alike = {"dtype": str(base.dtype).removeprefix("torch.")}
    if options is None or options.device_map is None:
        alike["device"] = str(base.device)
    return (options or LoadOptions()).model_copy(update=alike)


def _without_answers(setup: dict[str, Any]) -> dict[str, Any]:
    """A setup as it is compared: before answers had one of their own, theirs was part of it."""
    config = setup["config"]
    return {**setup, "config": {name: config[name] for name in ("layers", "kind")}}


def _places(traits: Sequence[PersonaVectors], config: ShiftConfig, base: Model) -> list[LayerUnits]:
    """Every vector that is asked for, grouped by layer."""
    asked = tuple(range(base.n_layers)) if config.layers is None else tuple(sorted(set(config.layers)))
    directions = [
        (layer, item.trait, item.direction(layer, config.kind).vector.double())
        for layer in asked
        for item in traits
        if config.layers is not None or layer in item.layers
    ]
    return [
        LayerUnits(
            layer,
            tuple(trait for place, trait, _ in directions if place == layer),
            torch.stack([vector / vector.norm() for place, _, vector in directions if place == layer]),
        )
        for layer in dict.fromkeys(layer for layer, _, _ in directions)
    ]


def render_prompts(model: Model, prompts: Sequence[Prompt]) -> list[Row]:
    """Questions, or the turns before an answer, as rows to be answered."""
    return [
        model.chat([{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt)
        for prompt in prompts
    ]


def _require_alike(base: Model, tuned: Model, rows: Sequence[Row], prompts: Sequence[Prompt]) -> None:
    if (base.n_layers, base.d_model) != (tuned.n_layers, tuned.d_model):
        raise DataError(
            f"{tuned.name} has {tuned.n_layers} layers x {tuned.d_model} but {base.name} has "
            f"{base.n_layers} x {base.d_model}: a shift is between a model and one tuned from it"
        )
    for index, (own, expected) in enumerate(zip(render_prompts(tuned, prompts), rows, strict=True)):
        if own.ids != expected.ids:
            raise DataError(
                f"{tuned.name} tokenizes prompt {index} otherwise than {base.name}: save the base model's "
                "tokenizer and chat template with the tuned model"
            )


def _movements(
    before: Mapping[ShiftPosition, ModelProjections],
    after: Mapping[ShiftPosition, ModelProjections],
    places: Sequence[LayerUnits],
    config: ShiftConfig,
) -> tuple[TraitShift, ...]:
    shifts: list[TraitShift] = []
    for position in config.positions:
        both = before[position].valid & after[position].valid
        if int(both.sum()) < 2:
            raise DataError("fewer than two prompts got an answer from both models: give more prompts")
        old, new = before[position].projections[both], after[position].projections[both]
        low, high = bootstrap_intervals(new - old, resamples=config.resamples, seed=config.seed)
        column = 0
        for index, place in enumerate(places):
            step = after[position].mean[index] - before[position].mean[index]
            along, length = place.units @ step, step.norm()
            for trait, share in zip(place.traits, along, strict=True):
                mean_old, mean_new = old[:, column].mean(), new[:, column].mean()
                shifts.append(
                    TraitShift(
                        trait=trait,
                        layer=place.layer,
                        at=position,
                        base=mean_old.item(),
                        tuned=mean_new.item(),
                        shift=(mean_new - mean_old).item(),
                        low=low[column].item(),
                        high=high[column].item(),
                        cosine=(share / length).item() if length > 0 else None,
                        prompts=int(both.sum()),
                    )
                )
                column += 1
    return tuple(shifts)
