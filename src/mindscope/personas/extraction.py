"""From a trait to its vectors: rollouts, judge, filter, difference of means."""

from typing import Any

from mindscope.core import Progress
from mindscope.engines import Engine
from mindscope.errors import ModelError
from mindscope.judges import Judge
from mindscope.models import Model, TemplateRecord, describe_prompts
from mindscope.personas import rollouts
from mindscope.personas.answers import generate_answers, kept_shard_rows
from mindscope.personas.config import ExtractConfig
from mindscope.personas.contrast import ContrastRecipe
from mindscope.personas.judging import judge_answers, scores_place, without_judge
from mindscope.personas.layer_statistics import layer_statistics
from mindscope.personas.pair_filter import filter_pairs, keep_answered_pairs
from mindscope.personas.trait import Trait
from mindscope.personas.vectors import KINDS, PersonaVectors
from mindscope.store import Run, claim, part_of


def extract_vectors(
    model: Engine,
    trait: Trait,
    judge: Judge | ContrastRecipe | None,
    run: Run,
    config: ExtractConfig | None = None,
    *,
    progress: Progress | None = None,
) -> PersonaVectors:
    """The persona vectors of ``trait`` in ``model``, made in and saved to ``run``.

    Under ``extract/{trait}/`` the run holds the answers with their activations, the scores, what the
    filter kept and ``vectors.safetensors``. Killed at any moment and called again, it goes on and ends
    with the same vectors to the last bit. Called again with other settings of the filter or the
    statistics, or another judge, it makes new vectors from the same answers; with more samples, it adds the
    answers that are missing.

    A ``judge`` that is None scores nothing, and every pair with two answers is used: the model is trusted to
    have followed its instructions. A `ContrastRecipe` makes a judge from the answers first.

    Raises DataError when too few pairs pass the filter, and StoreError when the run holds this part made
    from another model, trait or sampling.
    """
    config = config or ExtractConfig()
    model.capabilities.require("extracting persona vectors", "reads", addresses=("resid_post",))
    if isinstance(judge, ContrastRecipe):
        judge.require_drawn(config)
    name = part_of("extract", trait.name)
    model = model.with_template(clock=run.started)
    setup = {
        "fingerprint": model.fingerprint,
        "template": describe_prompts(model),
        "dtype": str(model.dtype).removeprefix("torch."),
        "trait": trait.document(),
        "config": config.deciding("questions"),
    }
    claim(run, name, setup, read=without_judge)
    requests = rollouts.plan_rollouts(
        trait, samples=config.samples, seed=config.seed, questions=config.questions
    )
    shard_rows = kept_shard_rows(run, name, config.shard_rows)
    answers = generate_answers(
        model,
        requests,
        run,
        name,
        config=config,
        reads=rollouts.rollout_reads(model),
        stack=rollouts.stack_reads,
        progress=progress,
    )
    contrast: dict[str, Any] = {}
    if isinstance(judge, ContrastRecipe):
        judge = judge.fit(_whole_model(model), trait, requests, answers, run, config, progress=progress)
        contrast = {"contrast": judge.scores.to_json()}
    if judge is None:
        filtered = keep_answered_pairs(*rollouts.split_sides(answers))
    else:
        judgements = judge_answers(
            judge,
            trait.rubric(),
            requests,
            answers,
            run,
            name,
            scores=scores_place(run, name, name, judge),
            shard_rows=shard_rows,
            progress=progress,
        )
        positive, negative = rollouts.split_sides(judgements)
        filtered = filter_pairs(positive, negative, threshold=config.threshold, coherence=config.coherence)
    run.save_json(f"{name}/filter.json", {**filtered.counts.to_json(), "pairs_kept": filtered.kept})
    filtered.require(config.least_pairs, trait.name)
    activations = rollouts.collect_activations(run, name, len(requests), shard_rows, filtered.kept)
    rows = activations.differences
    asked, _ = rollouts.split_sides(requests)
    vectors = PersonaVectors(
        trait=trait.name,
        fingerprint=model.fingerprint,
        matrices={kind: rows[kind][1:-1].float() for kind in KINDS},
        layers=tuple(range(model.n_layers)),
        embeddings={kind: rows[kind][0].float() for kind in KINDS},
        final_norm={kind: rows[kind][-1].float() for kind in KINDS},
        statistics=layer_statistics(
            activations.positive,
            activations.negative,
            [int(asked[pair].labels["question_index"]) for pair in filtered.kept],
            resamples=config.resamples,
            folds=config.folds,
            seed=config.seed,
        ),
        model=model.name,
        model_type=model.model_type,
        filter=filtered.counts,
        trait_document=trait.document(),
        made_with=model.identity,
        template=TemplateRecord.of(model),
        metadata={
            "dtype": setup["dtype"],
            "judge": "none" if judge is None else judge.name,
            **contrast,
            "seed": config.seed,
            "config": config.model_dump(mode="json"),
        },
    )
    vectors.save(run.path / name / "vectors.safetensors")
    return vectors


def _whole_model(model: Engine) -> Model:
    if not isinstance(model, Model):
        raise ModelError(
            "a contrast judge needs log-probabilities, which this engine does not give: use --judge "
            "model:NAME or endpoint:NAME"
        )
    return model
