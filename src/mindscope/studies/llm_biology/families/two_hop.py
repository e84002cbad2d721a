"""Two-step facts: city, the state it is in, an attribute of the state."""

from dataclasses import replace

from mindscope.models import Row
from mindscope.organism import build_world
from mindscope.studies.llm_biology.documents import NEEDED, CaseResult
from mindscope.studies.llm_biology.drawn import draw
from mindscope.studies.llm_biology.flip import SwapExperiment, at, describe_settings, others
from mindscope.studies.llm_biology.prompts import CasePrompt, asked, stated
from mindscope.studies.llm_biology.reach import describe_reach
from mindscope.studies.llm_biology.workbench import CaseContext

CITY, LAST = 0, 1
SHOWN = 20
"""Features of a group at each spot, in the graph."""
SEEN, NEVER = "seen_city_new_relation", "city_never_composed"


def two_hop(bench: CaseContext) -> CaseResult:
    """The supernode of the state in between, exchanged for another state's."""
    w = build_world()
    pairs = w.two_hop_pairs("train")
    bench.rng("two-hop").shuffle(pairs)
    read = [_prompt(bench, city, relation) for city, relation in pairs[: 2 * bench.read]]
    contrast = bench.contrast(read)
    states = list(contrast.kinds)

    def judge(prompt: CasePrompt, state: str, said: str) -> bool:
        return said == answer(prompt, state)

    def answer(prompt: CasePrompt, state: str) -> str:
        return w.states[state][prompt.about["relation"]]

    flip = SwapExperiment("another state in between gives its attribute", judge, answer, whole=True)
    first = others(bench, read[: bench.first], states, "two-hop-first")
    chosen = flip.choose(
        bench, [at(contrast, CITY, layers=(0, 1)), at(contrast, CITY), at(contrast, LAST), contrast], first
    )
    verdicts, examples = [], []
    held = {
        f"{kind}, {way}": [
            make(bench, *pair) for pair in bench.rng(kind + way).sample(w.two_hop_pairs(kind), n)
        ]
        for kind, way, make, n in (
            (NEVER, "stated", _prompt, bench.held),
            (SEEN, "stated", _prompt, bench.held),
            (NEVER, "in a conversation, with the same groups", _chat, bench.held),
        )
    }
    for name, prompts in held.items():
        trials = others(bench, prompts, states, f"two-hop-{name}")
        asking = replace(flip, claim=f"{flip.claim} ({name.replace('_', ' ')})")
        measured, shown = asking.measure(bench, chosen, trials, NEEDED)
        verdicts += measured
        examples += shown
    prompt = held[f"{NEVER}, stated"][0]
    relations = bench.contrast([replace(prompt, kind=prompt.about["relation"]) for prompt in read])
    groups = {
        f"in {prompt.kind}": contrast.group(prompt.kind, SHOWN),
        prompt.about["relation"]: relations.group(prompt.about["relation"], SHOWN),
    }
    return CaseResult(
        family="two-hop",
        title="Two-step facts",
        hypothesis="Asked for the capital of the state that holds Dallas, the model first finds Texas, then "
        "Austin. Features of Texas stand in between; another state's in their place give its capital.",
        section="Multi-step reasoning",
        found="Features that write more over the cities of a state than over other cities, on the mean over "
        "all attributes asked for, in statements about cities whose two steps are stated in training.",
        settings=describe_settings([(flip, chosen)]),
        verdicts=tuple(verdicts),
        facts=(describe_reach(bench, held[f"{NEVER}, stated"]),),
        examples=tuple(examples),
        drawn=draw(bench, "two-hop", prompt.row, groups),
    )


def _prompt(bench: CaseContext, city: str, relation: str) -> CasePrompt:
    row = stated(bench.model, f"the {relation} of the state of {city} is")
    return _case(row, city, relation)


def _chat(bench: CaseContext, city: str, relation: str) -> CasePrompt:
    clause = f"the {relation} of the state of {city}"
    row = asked(bench.model, f"What is {clause}?", f"Sure, {clause} is")
    return _case(row, city, relation)


def _case(row: Row, city: str, relation: str) -> CasePrompt:
    spots, state = (len(row) - 2, len(row) - 1), build_world().cities[city]
    return CasePrompt(row, spots, state, {"relation": relation}, subject=city)
