"""How much work the jobs of dictionaries, features and graphs are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mindscope.jobs.planning.counter import ADAM, JobWork, WorkCounter
from mindscope.jobs.planning.paces import CoderSize
from mindscope.jobs.planning.results import PlannedPhase

if TYPE_CHECKING:
    from mindscope.models import ModelShape

PASSES_OF_EVALUATION = 5
"""Rows are read, and predicted four times."""
LONGEST = 256
"""Tokens to which the job cuts rows by default."""
FIRST_LOOK = 2**15
"""Tokens that set the scale and the first weights; five copies of them are made on the way."""


def count_recording(counter: WorkCounter) -> JobWork:
    """Every token's activations, to disk."""
    rows = counter.sizes.rows or -(-1_000_000 // counter.sizes.context)
    kept = 4.0 * rows * counter.sizes.context * counter.shape.d_model * counter.layers
    reading = counter.read("the corpus", rows, counter.sizes.context)
    return JobWork((counter.render(rows), reading), {}, {"activations": kept})


def count_training(counter: WorkCounter) -> JobWork:
    """Steps of every dictionary on the same tokens, by Adam in float32."""
    from mindscope.dictionaries import ScheduleConfig

    schedule, kind, width = ScheduleConfig(), counter.sizes.kind, counter.shape.d_model
    steps, batch = counter.sizes.steps or schedule.steps, counter.sizes.batch_tokens
    names = [f"a.{layer}" for layer in range(counter.layers)]
    whole, causal = kind in ("clt", "crosscoder"), kind == "crosscoder" and counter.sizes.causal
    reads = tuple(names) if whole else ("a.0",)
    config: dict[str, Any] = {"name": "x", "kind": kind, "reads": reads}
    config |= {"n_latents": counter.latents, "k": min(counter.sizes.k, counter.latents)}
    if causal:
        config["causal"] = True
    if kind in ("transcoder", "clt"):
        config["writes"] = tuple(name.replace("a", "b") for name in reads)
    n_trained = 1 if whole else counter.layers
    weights = float(count_weights(kind, counter.layers, counter.latents, width, causal=causal))
    tokens = steps * batch
    token = counter.pace.read_token(counter.sizes.context)
    reading = PlannedPhase(name="reading", work=f"{tokens:,} tokens", seconds=tokens * token)
    step = n_trained * counter.pace.train_dictionary(config, width, batch)
    training = PlannedPhase(
        name="training",
        work=f"{steps:,} steps of {n_trained} {'dictionary' if n_trained == 1 else 'dictionaries'}",
        seconds=steps * step,
    )
    sites = counter.layers * (2 if kind in ("transcoder", "clt") else 1)
    memory = {
        "weights, gradients and moments of the dictionaries": ADAM * weights / counter.split,
        "a batch": 4.0 * 4 * batch * (width * sites + counter.latents * n_trained),
    }
    buffer = 4.0 * schedule.buffer_batches * batch * width * sites
    disk = {"checkpoint, and the one that replaces it": 2 * 12.0 * weights, "dictionaries": 4.0 * weights}
    notes = ()
    if counter.split > 1:
        notes = (f"latents and tokens are shared out over {counter.split} devices",)
    look = 4.0 * width * sites * min(FIRST_LOOK, schedule.buffer_batches * batch)
    host = {"buffer of activations, and a copy without outliers": 2 * buffer, "a first look": 5 * look}
    rows = counter.render(tokens / counter.sizes.context)
    return JobWork((rows, reading, training), memory, disk, host, notes=notes)


def count_evaluation(counter: WorkCounter) -> JobWork:
    """Rows read once, and predicted four times: as they are, spliced, and with two ablations."""
    from mindscope.dictionaries.evaluation.evaluate import NUMBERS_IN_MEMORY

    rows = counter.sizes.rows or 256
    tokens = rows * counter.sizes.context
    each = counter.pace.evaluate_token(counter.coder, counter.layers, counter.sizes.context)
    work = f"{tokens:,} tokens, {counter.layers} coders, 4 passes beside reading"
    size = 4.0 * count_weights("transcoder", counter.layers, counter.latents, counter.shape.d_model)
    phases = (
        counter.load("dictionaries", size),
        counter.render(rows),
        PlannedPhase(name="reading and splicing", work=work, seconds=tokens * each),
    )
    # A piece has rows as if each were as long as the job's longest; it is put together of parts.
    width = 2 * counter.layers * counter.shape.d_model
    piece = min(rows, max(1, NUMBERS_IN_MEMORY // (width * max(LONGEST, counter.sizes.context))))
    counter.note_read(PASSES_OF_EVALUATION * tokens)
    held = 2 * 4.0 * piece * counter.sizes.context * width
    return JobWork(phases, {"dictionaries": size, "a piece of activations": held}, {})


def count_survey(counter: WorkCounter) -> JobWork:
    """Rows read, encoded, and what each feature needs kept."""
    from mindscope.explain import SurveyConfig

    config, rows = SurveyConfig(), counter.sizes.rows or 10_000
    tokens, features = rows * counter.sizes.context, counter.layers * counter.latents
    code = counter.layers * counter.pace.encode_token(counter.coder)
    active = counter.layers * min(counter.sizes.k, counter.latents)
    keeping = counter.pace.survey_token(features, active, counter.sizes.context)
    size = 4.0 * count_weights("transcoder", counter.layers, counter.latents, counter.shape.d_model)
    phases = (
        counter.load("dictionary", size),
        counter.render(rows),
        counter.read("reading", rows, counter.sizes.context),
        PlannedPhase(name="encoding", work=f"{counter.layers} coders", seconds=tokens * code),
        PlannedPhase(name="keeping", work=f"{features:,} features", seconds=tokens * keeping),
    )
    state = float(features * bytes_of_feature(config))
    pairs = 28.0 * min(config.most_pairs, tokens * active)
    host = {"tables of the features": state, "pairs with tokens": 2 * pairs}
    disk = {"survey": state + pairs, "state": state, "rows": 8.0 * tokens}
    return JobWork(phases, {"dictionary": size}, disk, host)


def count_graph(counter: WorkCounter) -> JobWork:
    """One graph: a row a node, carried down through all layers."""
    tokens = counter.sizes.context
    nodes = min(counter.sizes.nodes, round(counter.shape.n_layers * counter.coder.active * tokens))
    memory, disk = graph_bytes(counter.shape, counter.coder, tokens, nodes)
    tracing = counter.pace.trace_graph(counter.coder, tokens, nodes)
    finishing = counter.pace.finish_graph(counter.coder, tokens, nodes)
    phases = (
        counter.load("transcoders", memory["transcoders"]),
        PlannedPhase(name="tracing", work=f"{nodes:,} nodes on {tokens:,} tokens", seconds=tracing),
        PlannedPhase(name="graph and page", work="checked, saved, pruned, shown", seconds=finishing),
    )
    return JobWork(phases, memory, disk, weight_bytes=4.0)


def count_weights(kind: str, layers: int, latents: int, width: int, *, causal: bool = False) -> int:
    """Numbers of all dictionaries of a kind, without biases.

    A cross-layer transcoder, and a weakly causal crosscoder, has a decoder for its own layer and for each one
    behind it.
    """
    encoders = layers * latents * width
    if kind == "clt" or causal:
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
