"""Which coefficient prevents: a few steps of training with each, and what each model then says.

1. The base answers the trait's evaluation questions.
2. For every coefficient, and 0, the base is tuned for a few steps of the training that is to come, with all
   else as it will be. The tuned model answers the same questions from the same seeds.
3. The base reads all answers; differences are paired by question. Beside them stands the usual shift.
"""

from collections.abc import Callable, Sequence

import torch

from mindscope.core import Progress
from mindscope.data import Data
from mindscope.errors import DataError
from mindscope.finetuning.behaviour import compare_answers, project_answers, trait_questions
from mindscope.finetuning.config import SCAN_STEPS, FinetuneConfig, PreventativeSteering
from mindscope.finetuning.examples import OnError
from mindscope.finetuning.finetune import finetune_model
from mindscope.finetuning.prevention import PreventionScan, PreventionTrial, choose_coefficient
from mindscope.models import Model, load
from mindscope.personas import PersonaVectors, ShiftConfig, default_layer, measure_shift
from mindscope.store import Run


def scan_prevention(
    load_model: Callable[[], Model],
    data: Data,
    vectors: PersonaVectors,
    run: Run,
    config: FinetuneConfig,
    coefficients: Sequence[float],
    *,
    steps: int = SCAN_STEPS,
    on_error: OnError = "refuse",
    device: str = "auto",
    others: Sequence[PersonaVectors] = (),
    progress: Progress | None = None,
) -> PreventionScan:
    """Tune for a few steps under every coefficient, and choose by what the models then say.

    Args:
        load_model: loads the base anew: each training changes what it is given.
        data: the conversations of the training that is to come.
        vectors: of the trait that is to be prevented.
        run: keeps every short training under `scan/`, so that a scan that was killed goes on.
        config: of the training that is to come, with one `PreventativeSteering` of the trait in it.
        coefficients: above 0; 0 is always tried too.
        steps: of each training, with a constant learning rate after the warm-up.
        on_error: what to do with a conversation that cannot be used.
        device: where tuned models run.
        others: the vectors of further interventions in `config`.
        progress: called with (done, total, label).

    Raises:
        DataError: no coefficient, no steering in `config`, or vectors without questions.
    """
    steering = next(
        (
            item
            for item in config.interventions
            if isinstance(item, PreventativeSteering) and item.trait == vectors.trait
        ),
        None,
    )
    if steering is None or not coefficients or min(coefficients) <= 0:
        raise DataError("a scan needs preventative steering and coefficients above 0")
    questions = trait_questions(vectors)
    base = load_model()
    layer = default_layer(base.n_layers) if steering.layer is None else steering.layer
    direction = vectors.direction(layer)
    before = project_answers(
        base, base, direction, questions, run, "scan/base", seed=config.seed, progress=progress
    )
    trials: list[PreventionTrial] = []
    for coefficient in (0.0, *sorted(set(coefficients))):
        name = f"scan/{coefficient:g}"
        rest = tuple(item for item in config.interventions if item is not steering)
        own = (steering.model_copy(update={"coefficient": coefficient}),) if coefficient else ()
        short = config.model_copy(
            update={
                "interventions": (*rest, *own),
                "steps": steps,
                "schedule": "constant",
                "save_every": steps,
            }
        )
        used = {item.trait for item in short.interventions}
        tuned = finetune_model(
            load_model(),
            data,
            run,
            short,
            vectors=[item for item in (vectors, *others) if item.trait in used],
            name=name,
            on_error=on_error,
            device=device,
            progress=progress,
        )
        model = load(tuned.path, dtype=str(base.dtype).removeprefix("torch."), device=str(base.device))
        model = model.with_template(**base.template.options)
        after = project_answers(
            model, base, direction, questions, run, f"{name}/behaviour", seed=config.seed, progress=progress
        )
        moved = measure_shift(
            base, model, vectors, questions, ShiftConfig(layers=(layer,)), run=run, part=f"{name}/shift"
        )
        trials.append(
            PreventionTrial(
                coefficient=coefficient,
                answers=compare_answers(vectors.trait, layer, before, after),
                shift=moved.of(vectors.trait, layer).shift,
                loss=tuned.losses[-1],
            )
        )
        del model
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    chosen, why = choose_coefficient(tuple(trials))
    result = PreventionScan(
        trait=vectors.trait, layer=layer, steps=steps, trials=tuple(trials), chosen=chosen, why=why
    )
    result.save(run.path / "scan" / "scan.json")
    return result
