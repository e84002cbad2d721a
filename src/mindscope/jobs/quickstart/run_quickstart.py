"""The quickstart's job: weigh the model, choose, measure the pace, and run the demo on request."""

from __future__ import annotations

import shlex
import time
from dataclasses import replace
from itertools import cycle, islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from mindscope.errors import DataError, ModelError
from mindscope.jobs.demo import DemoSpec, count_demo_answers, demo
from mindscope.jobs.doctor import DoctorSpec, examine
from mindscope.jobs.job import Reporter, RunFolder
from mindscope.jobs.quickstart.choose import (
    SIZES,
    choose_device,
    choose_judge,
    choose_size,
    choose_traits,
    limit_traits,
)
from mindscope.jobs.quickstart.results import QuickstartChoice, QuickstartReport
from mindscope.jobs.quickstart.spec import QuickstartSpec
from mindscope.jobs.resolve import ORGANISM, find_trait, is_test_bed, load_model

if TYPE_CHECKING:
    from mindscope.models import Model

PACE_ROWS = 8
"""Rows of the pass that tells how long reading and training take."""
TRAINING_PASSES = 3
"""A training step costs about three passes: one forward, and two for gradients."""


def quickstart(spec: QuickstartSpec, *, run: RunFolder, reporter: Reporter) -> QuickstartReport:
    """Choose traits, sizes and a judge for a model by this machine; say why, and how long it takes.

    With --go it runs what it chose, which is `mindscope demo` with these options. A folder in which that was
    begun is gone on with, whatever else would be chosen today.
    """
    parameters = _count(spec.model)
    machine = examine(DoctorSpec(), reporter=reporter)
    device, dtype, why = choose_device(spec.model, parameters, machine, spec.device)
    choices = [QuickstartChoice(what="device", chosen=device, why=why)]
    choices += [choose_traits(spec.model, parameters, spec.traits), choose_judge(spec.model)]
    named = {"model": spec.model, "device": device, "dtype": dtype, "seed": spec.seed, "out": run.path}
    base = DemoSpec(**named, traits=(choices[1].chosen,))
    begun = _find_begun(run.path, spec.model)
    seconds, answers, measured = None, 0, "an earlier start is gone on with"
    if begun is not None:
        chosen = begun
        choices = [QuickstartChoice(what="all", chosen=_command(begun), why=f"{run.path} was begun with it")]
    else:
        sizes = [_sized(base, size.n_traits, size.quick) for size in SIZES]
        reporter.say(f"loading {spec.model} to see how fast it is here")
        model = load_model(spec.model, dtype=dtype, device=device)
        times, counts, measured = _measure(model, sizes)
        del model  # the demo loads it again
        size, choice = choose_size(times, spec.minutes)
        choices.append(choice)
        index = SIZES.index(size)
        chosen, seconds, answers = sizes[index], times[index], counts[index]
        choices[1] = limit_traits(choices[1], chosen.traits)
    report = QuickstartReport(
        model=spec.model,
        parameters=parameters,
        choices=tuple(choices),
        command=_command(chosen),
        answers=answers,
        seconds=seconds,
        measured=measured,
    )
    if not spec.go:
        return report.model_copy(update={"then": (report.command, *_further(spec.model, run.path))})
    # The run remembers the demo's command, so that `runs resume` needs no second choice.
    try:
        shown = demo(chosen, run=replace(run, command=_arguments(chosen)), reporter=reporter)
    except DataError as error:
        if not chosen.quick:
            raise
        more = "these sizes are the smallest: a larger --minutes with another --run takes larger ones"
        raise DataError(f"{error}; {more}") from None
    return report.model_copy(update={"demo": shown, "then": _further(spec.model, run.path)})


def _count(name: str) -> int:
    """The parameters of a model.

    Raises:
        ModelError: it is not here and cannot be fetched, with what to do.
    """
    from mindscope.models import count_parameters

    try:
        return count_parameters(name)
    except ModelError as error:
        if is_test_bed(name) or Path(name).exists():
            raise
        raise ModelError(
            f"{error}; without a network give a model's folder or a GGUF file, or begin with `{ORGANISM}`"
        ) from error


def _sized(base: DemoSpec, n_traits: int | None, quick: bool) -> DemoSpec:
    return base.model_copy(update={"traits": base.traits[:n_traits], "quick": quick})


def _measure(model: Model, sizes: list[DemoSpec]) -> tuple[list[float], list[int], str]:
    """Seconds and answers of each size, by a few tokens of the first trait's own questions."""
    from mindscope.jobs.estimates import estimate_answers
    from mindscope.models import Mean, Read, SamplingConfig
    from mindscope.personas import AnswerRequest, plan_answers

    full = sizes[0].preset()
    traits = [find_trait(name, sizes[0].model) for name in full.traits]
    questions = traits[0].questions("extraction")
    config = SamplingConfig(samples=1, max_new_tokens=full.max_new_tokens, temperature=full.temperature)
    requests = [AnswerRequest(q, seed=0) for q in islice(cycle(questions), config.batch_rows)]
    plan = plan_answers(model, requests, config)
    counts = [count_demo_answers(traits[: len(size.traits)], size.preset(), model.n_layers) for size in sizes]
    pace = estimate_answers(model, plan, answers=counts[0])
    assert pace.seconds is not None  # it was measured
    per_answer = pace.seconds / counts[0]
    text = " ".join(["word"] * full.max_new_tokens)
    rows = [model.chat([{"role": "user", "content": q}], answer=text) for q in questions[:PACE_ROWS]]
    began = time.perf_counter()
    model.read(rows, {"last": Read(f"resid_post.{model.n_layers - 1}", Mean("answer"))})
    each = (time.perf_counter() - began) / len(rows)

    def seconds(size: DemoSpec, count: int) -> float:
        preset = size.preset()
        steps = 2 * preset.n_training * preset.tuning.epochs * TRAINING_PASSES
        return per_answer * count + each * (steps + count)  # every answer is read again

    times = [seconds(size, count) for size, count in zip(sizes, counts, strict=True)]
    return times, counts, pace.measured


def _find_begun(path: Path, model: str) -> DemoSpec | None:
    """What a run of this model in this folder was begun with; None where there is none of yours."""
    from mindscope.errors import StoreError
    from mindscope.store import read_run

    try:
        info = read_run(path)
    except StoreError:
        return None
    command = tuple(info.command)
    words = dict(pairwise(command))  # an option and what stands behind it
    is_ours = command[:1] == ("demo",) and words.get("--model") == model and "--traits" in words
    if not is_ours or not info.is_made_here:
        return None
    return DemoSpec(
        model=model,
        traits=(words["--traits"],),
        quick="--quick" in command,
        device=words.get("--device", "auto"),
        dtype=words.get("--dtype", "auto"),
        seed=int(words.get("--seed", "0")),
        out=path,
    )


def _arguments(spec: DemoSpec) -> tuple[str, ...]:
    """The demo's command line, after `mindscope`."""
    words = ["demo", "--model", spec.model, "--traits", ",".join(spec.traits), "--out", str(spec.run_path())]
    words += ["--device", spec.device] if spec.device != "auto" else []
    words += ["--dtype", spec.dtype] if spec.dtype != "auto" else []
    words += ["--seed", str(spec.seed)] if spec.seed else []
    return (*words, *(["--quick"] if spec.quick else []))


def _command(spec: DemoSpec) -> str:
    return shlex.join(["mindscope", *_arguments(spec)])


def _further(model: str, path: Path) -> tuple[str, ...]:
    """What to do once the demo is through."""
    name, run = shlex.quote(model), shlex.quote(str(path))
    return (f"mindscope chat {name} --vectors {run}", f"mindscope serve {name} --vectors {run} --runs runs")
