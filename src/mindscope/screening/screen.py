"""Screening: how far each sample of a data set would move a model along its persona vectors."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mindscope.core import Progress
from mindscope.data import Data
from mindscope.engines import Engine
from mindscope.models import TemplateRecord, describe_prompts
from mindscope.personas import PersonaVectors
from mindscope.screening.config import ScreenConfig
from mindscope.screening.controls import compare_random
from mindscope.screening.dataset import DataSet
from mindscope.screening.ranking import TopSamples
from mindscope.screening.report import screening_report
from mindscope.screening.results import RankedSample, ScreeningResult, TraitScreening
from mindscope.screening.scores import ReferencePercentiles
from mindscope.screening.sizing import size_answers
from mindscope.screening.table import write_reference, write_table
from mindscope.screening.traits import ScreenedTraits
from mindscope.stats import RandomControl, StreamedMeans
from mindscope.store import Run, digest, part_of

LEFT_OUT_SHOWN = 10


def screen_dataset(
    model: Engine,
    data: Data,
    vectors: Sequence[PersonaVectors],
    config: ScreenConfig,
    run: Run,
    progress: Progress | None = None,
    *,
    reference: Data | None = None,
    note: str = "",
) -> ScreeningResult:
    """Projection differences of every sample and of the data set, for many traits in one pass.

    dP = [a(x, y) - a(x, y')] . v / |v|: y is the data's answer and y' the base model's own, both answer-token
    means at the trait's layer. Source: Chen et al. 2025, arXiv 2507.21509. The cheap forms put the last
    prompt token where y' stands, or the mean over a random subsample of the prompts. Every assistant turn
    is scored; a conversation's score is its highest turn's, or their mean. The data set's dP is the mean over
    samples of the mean over turns.

    A sample is flagged above the chosen percentile of an ordinary `reference`, screened in the same way.
    Without one the percentile is that of the data itself, which flags the same share of any data: good for
    ranking, no evidence that something is there. In either case the trait is held against random directions
    of its layer, on the first window of the data (`TraitScores.control`).

    The data is streamed; what stays in memory grows by 4 bytes a sample and trait. The run holds every
    window's readings and the model's own answers, so that a killed screening goes on, and one with other
    vectors generates nothing. Its results are in the folder that `ScreeningResult.folder` names.

    Args:
        model: the base model.
        data: a file or folder of conversations, or rows in memory.
        vectors: of one trait each, made from this model.
        config: the form, the layers and all else.
        run: keeps the pieces and results.
        progress: called with (done, total, label).
        reference: ordinary conversations that calibrate the thresholds.
        note: said at the top of the page.

    Raises:
        DataError: vectors of another model, data without a conversation, or, unless `on_error` is "skip", the
            file, line and reason of a malformed row.
    """
    model = model.with_template(clock=run.started)
    traits = ScreenedTraits.of(model, vectors, config)
    config = size_answers(model, data, config)
    main = DataSet.read(model, data, traits, run, config, progress)
    other = None if reference is None else DataSet.read(model, reference, traits, run, config, progress)
    setup = {
        "model": model.fingerprint,
        "data": main.windows.source.digest,
        "reference": other and other.windows.source.digest,
        "probe": traits.features.digest(),
        "template": describe_prompts(model),
        "config": config.model_dump(mode="json", exclude={"batch_rows"}),
    }
    folder = f"{part_of('screen', main.windows.source.name)}-{digest(setup)}"
    controls = compare_random(model, data, reference, traits, run, config, progress)
    survey = _survey(main, len(traits.names), config)
    ordinary = survey.dp if other is None else np.concatenate([scores.dp for scores in other.scores()])
    calibration = ReferencePercentiles.of(ordinary)
    thresholds = calibration.at(config.percentile)
    ranked = survey.highest.ranked(model, traits, main.windows, calibration)
    result = ScreeningResult(
        data=main.windows.source.label,
        data_digest=main.windows.source.digest,
        fingerprint=model.fingerprint,
        borrowed=model.borrowed,
        template=TemplateRecord.of(model),
        config=config,
        reference=None if other is None else other.windows.source.label,
        samples=len(survey.dp),
        turns=survey.turns,
        passes=survey.passes,
        left_out=survey.left_out,
        left_out_first=tuple(survey.left_out_first),
        traits=_traits(main, traits, survey, calibration, ranked, controls),
        folder=folder,
    )
    path = run.path / folder
    write_table(path / "scores.parquet", main.scores(), traits.names, calibration, thresholds)
    if other is not None:
        write_reference(path / "reference.parquet", ordinary, traits.names)
    result.save(path / "screening.json")
    report = screening_report(result, survey.dp, None if other is None else ordinary, model.name, note)
    report.write(path / "report.html")
    return result


@dataclass
class _WindowSummary:
    """What one look at all windows gives."""

    dp: np.ndarray
    """`[samples, traits]`"""
    means: StreamedMeans
    highest: TopSamples
    turns: int = 0
    passes: int = 0
    left_out: int = 0
    left_out_first: list[str] = field(default_factory=list)


def _survey(data: DataSet, traits: int, config: ScreenConfig) -> _WindowSummary:
    means = StreamedMeans(3 * traits, config.resamples, config.seed)
    survey = _WindowSummary(np.zeros(0), means, TopSamples(traits, config.top))
    columns: list[np.ndarray] = []
    for index, scores in enumerate(data.scores()):
        columns.append(scores.dp)
        survey.means.add(scores.means)
        survey.highest.see(scores, data.origins(index))
        survey.turns += len(scores.turn_dp)
        survey.passes += scores.readings.passes
        left_out = scores.readings.left_out
        survey.left_out += len(left_out)
        survey.left_out_first += left_out[: LEFT_OUT_SHOWN - len(survey.left_out_first)]
    survey.dp = np.concatenate(columns)
    return survey


def _traits(
    data: DataSet,
    traits: ScreenedTraits,
    survey: _WindowSummary,
    calibration: ReferencePercentiles,
    ranked: Sequence[tuple[RankedSample, ...]],
    controls: Sequence[RandomControl | None],
) -> tuple[TraitScreening, ...]:
    k = len(traits.names)
    estimates = survey.means.estimates()
    means, raws, baselines = estimates[:k], estimates[k : 2 * k], estimates[2 * k :]
    if data.subsample is not None:
        means, baselines = data.subsample.means, data.subsample.baselines
    thresholds, ordinary = calibration.at(data.config.percentile), calibration.at(50)
    return tuple(
        TraitScreening(
            trait=trait,
            layer=traits.layers[i],
            mean=means[i],
            raw=raws[i],
            baseline=baselines[i],
            ordinary=ordinary[i],
            threshold=threshold,
            flagged=0 if threshold is None else int((survey.dp[:, i] > threshold).sum()),
            unscored=int(np.isnan(survey.dp[:, i]).sum()),
            control=controls[i],
            ranked=ranked[i],
        )
        for i, (trait, threshold) in enumerate(zip(traits.names, thresholds, strict=True))
    )
