"""From a trait to its vectors: rollouts, judge, filter, difference of means."""

from collections.abc import Sequence
from typing import Any

from mindscope.core import Progress
from mindscope.engines import Engine
from mindscope.judges import Judge, Judgement
from mindscope.models import TemplateRecord, describe_prompts
from mindscope.personas import rollouts
from mindscope.personas.answers import AnswerRequest, GeneratedAnswer, generate_answers, kept_shard_rows
from mindscope.personas.config import ExtractConfig
from mindscope.personas.contrast import ContrastRecipe
from mindscope.personas.judging import judge_answers, scores_place, without_judge
from mindscope.personas.layer_statistics import layer_statistics
from mindscope.personas.pair_filter import filter_pairs, keep_answered_pairs
from mindscope.personas.report import few_pairs_report
from mindscope.personas.trait import Trait
from mindscope.personas.vectors import KINDS, PersonaVectors
from mindscope.reports import AnswerCard, AnswerSample
from mindscope.store import Run, claim, part_of

PAIRS_READ = 12
"""Pairs of answers on the page of an extraction that kept too few."""


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
        judge = judge.fit(model, trait, requests, answers, run, config, progress=progress)
        contrast = {"contrast": judge.scores.to_json()}
    judgements: Sequence[Judgement | None] = [None] * len(answers)
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
    if len(filtered.kept) < config.least_pairs:
        page = few_pairs_report(
            trait.name,
            model.name,
            filtered.counts,
            [
                _pair_sample(request, *pair)
                for request, *pair in _spread(
                    list(
                        zip(
                            rollouts.split_sides(requests)[0],
                            *rollouts.split_sides(answers),
                            *rollouts.split_sides(judgements),
                            strict=True,
                        )
                    )
                )
            ],
        ).write(run.path / "report.html")
        filtered.require(config.least_pairs, trait.name, page)
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


def _spread(pairs: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """A few pairs of answers from all over the plan, which goes by instruction and question."""
    n_read = min(PAIRS_READ, len(pairs))
    return [pairs[i * len(pairs) // n_read] for i in range(n_read)]


def _pair_sample(
    request: AnswerRequest,
    positive: GeneratedAnswer,
    negative: GeneratedAnswer,
    *judged: Judgement | None,
) -> AnswerSample:
    """Both answers to a question, with what the judge said of them."""
    cards = [
        AnswerCard(
            label,
            answer.text,
            {} if judgement is None else _scores(judgement),
            note="" if judgement is None else judgement.trait.detail,
        )
        for label, answer, judgement in zip(
            ("told to show it", "told not to"), (positive, negative), judged, strict=True
        )
    ]
    return AnswerSample(request.question, cards)


def _scores(judgement: Judgement) -> dict[str, float | None]:
    return {"trait": judgement.trait.value, "coherence": judgement.coherence.value}
