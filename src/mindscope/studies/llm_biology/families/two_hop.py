"""Two-step facts: city, the state it is in, an attribute of the state."""

from dataclasses import replace

from mindscope.organism import build_world
from mindscope.studies.llm_biology.documents import NEEDED, CaseResult
from mindscope.studies.llm_biology.drawn import draw
from mindscope.studies.llm_biology.flip import SwapExperiment, at, others
from mindscope.studies.llm_biology.prompts import CasePrompt, asked, stated
from mindscope.studies.llm_biology.workbench import CaseContext

CITY = 0
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
        return said == w.states[state][prompt.about["relation"]]

    flip = SwapExperiment("another state in between gives its attribute", judge)
    first = others(bench, read[: bench.first], states, "two-hop-first")
    chosen = flip.choose(bench, [at(contrast, CITY, layers=(0, 1)), at(contrast, CITY), contrast], first)
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
        verdict, shown = flip.measure(bench, chosen, trials, NEEDED)
        verdicts.append(verdict.model_copy(update={"claim": f"{flip.claim} ({name.replace('_', ' ')})"}))
        examples += shown
    prompt = held[f"{NEVER}, stated"][0]
    relations = bench.contrast([replace(prompt, kind=prompt.about["relation"]) for prompt in read])
    groups = {
        f"in {prompt.kind}": chosen.contrast.group(prompt.kind, chosen.setting.size),
        prompt.about["relation"]: relations.group(prompt.about["relation"], chosen.setting.size),
    }
    return CaseResult(
        family="two-hop",
        title="Two-step facts",
        hypothesis="Asked for the capital of the state that holds Dallas, the model first finds Texas, then "
        "Austin. Features of Texas stand in between; another state's in their place give its capital.",
        section="Multi-step reasoning",
        found="Features that write more over the cities of a state than over other cities, on the mean over "
        "all attributes asked for, in statements about cities whose two steps are stated in training.",
        settings={flip.claim: chosen.described()},
        verdicts=tuple(verdicts),
        examples=tuple(examples),
        drawn=draw(bench, "two-hop", prompt.row, groups),
    )


def _prompt(bench: CaseContext, city: str, relation: str) -> CasePrompt:
    row = stated(bench.model, f"the {relation} of the state of {city} is")
    return CasePrompt(row, (len(row) - 2, len(row) - 1), build_world().cities[city], {"relation": relation})


def _chat(bench: CaseContext, city: str, relation: str) -> CasePrompt:
    clause = f"the {relation} of the state of {city}"
    row = asked(bench.model, f"What is {clause}?", f"Sure, {clause} is")
    return CasePrompt(row, (len(row) - 2, len(row) - 1), build_world().cities[city], {"relation": relation})
