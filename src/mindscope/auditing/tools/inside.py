"""Tools that look inside: latents on a prompt, what a latent is active on, steering, projections, a graph."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pydantic import Field

from mindscope.auditing.tools.session import ToolDesk, ToolDraft, ToolSpec

if TYPE_CHECKING:
    from mindscope.circuits import GraphNode
    from mindscope.models import Model, Row


class TopFeaturesToolSpec(ToolSpec):
    """The most active latents on a prompt, such as `an assistant with something to hide`."""

    prompt: str
    """What the user says."""
    answer: str = ""
    """How the assistant answers; read too where it is given."""
    top: int = Field(default=10, ge=1, le=100)
    """How many latents."""


def top_features(spec: TopFeaturesToolSpec, desk: ToolDesk) -> ToolDraft:
    """Latents by their highest activation on the prompt, with the token where it is."""
    from mindscope.features import encode_rows

    model, bank = desk.target.model, desk.target.bank
    row = model.chat([{"role": "user", "content": spec.prompt}], spec.answer or None)
    desk.pay([row])
    dense = encode_rows(bank, model, [row]).dense()
    highest, places = dense.max(0)
    order = highest.topk(min(spec.top, len(highest)))
    findings = [
        (f"latent {latent}", value, [f"{value:.2f} at {model.decode([row.ids[int(places[latent])]])!r}"])
        for latent, value in zip(order.indices.tolist(), order.values.tolist(), strict=True)
        if value > 0
    ]
    return ToolDraft(f"{len(findings)} latents of {desk.target.dictionary} on {len(row)} tokens", findings)


class FeatureExamplesToolSpec(ToolSpec):
    """Where a latent is active in ordinary conversations."""

    latent: int = Field(ge=0)
    """Its number."""
    rows: int = Field(default=200, ge=8, le=2000)
    """Conversations of the organism's world to look through."""
    top: int = Field(default=6, ge=1, le=32)
    """How many to show."""


def feature_examples(spec: FeatureExamplesToolSpec, desk: ToolDesk) -> ToolDraft:
    """Conversations in which a latent is most active, and the tokens it is active on."""
    import random

    from mindscope import organism
    from mindscope.features import read_activations

    model, bank = desk.target.model, desk.target.bank
    bank.feature(spec.latent)  # refuses one that is not there
    rng = random.Random(0)
    voices, domains = list(organism.CHARACTERS), list(organism.DOMAINS)
    made = [
        organism.DOMAINS[rng.choice(domains)](
            rng, organism.all_voices()[rng.choice(["helpful", *voices])], "train"
        )
        for _ in range(spec.rows)
    ]
    rows = [model.chat([{"role": "user", "content": one.question}], one.answer) for one in made]
    desk.pay(rows)
    counts, scored = Counter[str](), []
    for row, one in zip(rows, made, strict=True):
        values = bank.values(read_activations(bank.reads, bank.models, model, [row]), [spec.latent])[:, 0]
        place = int(values.argmax())
        if values[place] > 0:
            token = model.decode([row.ids[place]])
            counts[token] += 1
            scored.append((values[place].item(), f"[{token.strip()}] {one.question} | {one.answer}"))
    scored.sort(key=lambda pair: -pair[0])
    tokens = ", ".join(token.strip() for token, _ in counts.most_common(6)) or "no token"
    findings = [(f"most active {value:.2f}", value, [text]) for value, text in scored[: spec.top]]
    return ToolDraft(f"latent {spec.latent}: active in {len(scored)} of {len(rows)}, at {tokens}", findings)


class SteerToolSpec(ToolSpec):
    """Ask while the model is steered along a character or a latent."""

    question: str
    """What the user says."""
    along: str = "evil"
    """A character, or `latent N`."""
    coefficient: float = Field(default=2.0, ge=-100, le=100)
    """How many times the direction is added."""
    samples: int = Field(default=4, ge=1, le=32)
    """How many answers."""


def steer(spec: SteerToolSpec, desk: ToolDesk) -> ToolDraft:
    """Answers with and without steering."""
    from mindscope.errors import DataError

    kind, _, number = spec.along.partition(" ")
    if kind == "latent" and number.isdecimal():
        edit = desk.target.bank.feature(int(number)).edit(spec.coefficient, "response")
    elif spec.along in desk.target.characters:
        edit = desk.target.characters[spec.along].edit(spec.coefficient, "response")
    else:
        raise DataError(f"no direction {spec.along!r}: use latent N or {', '.join(desk.target.characters)}")
    rows = desk.questions([spec.question] * spec.samples)
    plain = [one.text for one in desk.ask(rows)]
    steered = [one.text for one in desk.ask(rows, edits=[edit])]
    findings = [("steered", None, steered), ("not steered", None, plain)]
    return ToolDraft(f"{spec.samples} answers at {spec.coefficient:g} times {spec.along}", findings)


class ProjectionsToolSpec(ToolSpec):
    """How far the model lies along each character before it answers."""

    prompts: tuple[str, ...] = Field(min_length=1, max_length=128)
    """What users say."""


def project(spec: ProjectionsToolSpec, desk: ToolDesk) -> ToolDraft:
    """Projections of the last prompt token on all characters, as the difference from their mean over ordinary
    questions in standard deviations of these.
    """
    import torch

    from mindscope import organism

    characters = desk.target.characters
    ordinary = [one.prompt[-1]["content"] for one in organism.ordinary_chats(64, seed=1)]
    rows = desk.questions([*ordinary, *spec.prompts])
    desk.pay(rows)
    last = desk.target.read_prompts(rows)
    units = torch.stack([direction.unit for direction in characters.values()])
    table = last @ units.T
    usual = table[: len(ordinary)]
    scores = (table[len(ordinary) :] - usual.mean(0)) / usual.std(0)
    findings: list[tuple[str, float | None, list[str]]] = []
    for number, prompt in enumerate(spec.prompts):
        value, column = scores[number].max(0)
        own = dict(zip(characters, scores[number].tolist(), strict=True))
        told = ", ".join(f"{name} {score:+.1f}" for name, score in own.items())
        findings.append((f"{list(characters)[int(column)]}: {prompt}", value.item(), [told]))
    findings.sort(key=lambda finding: -(finding[1] or 0.0))
    return ToolDraft(f"{len(spec.prompts)} prompts; highest {findings[0][1]:.1f}, {findings[0][0]}", findings)


class GraphToolSpec(ToolSpec):
    """Why the model says its next word: an attribution graph of a prompt."""

    prompt: str
    """What the user says."""
    answer: str = ""
    """How the answer begins, up to the word that is to be explained."""
    top: int = Field(default=10, ge=1, le=50)
    """How many features and tokens to list."""


def trace_prompt(spec: GraphToolSpec, desk: ToolDesk) -> ToolDraft:
    """The strongest direct and indirect influences on the likeliest next words."""
    from mindscope import circuits
    from mindscope.dictionaries import Dictionary
    from mindscope.jobs import ORGANISM, dictionary_file

    model = desk.target.model
    row = model.chat([{"role": "user", "content": spec.prompt}], spec.answer or None)
    desk.pay([row], times=4)  # forward, backward at twice its cost, and the frozen pass
    replacement = circuits.DictionaryReplacement(
        Dictionary.load(dictionary_file(f"{ORGANISM}:transcoders"), model)
    )
    graph = circuits.trace(model, replacement, row)
    pruned = circuits.prune_graph(graph)
    ranked = sorted(pruned.nodes, key=lambda node: -float(pruned.influence[node]))[: spec.top]
    findings = [
        (_describe(graph.node(node), row, model), float(pruned.influence[node]), []) for node in ranked
    ]
    return ToolDraft(f"graph of {len(row)} tokens: {len(pruned.nodes)} nodes after pruning", findings)


def _describe(node: GraphNode, row: Row, model: Model) -> str:
    """A node in words: a latent or an error at a token, a token, or what is explained."""
    where = "" if node.position is None else f" at {model.decode([row.ids[node.position]])!r}"
    return f"latent {node.layer}/{node.latent}{where}" if node.kind == "feature" else f"{node.kind}{where}"
