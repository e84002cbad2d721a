"""Two-step facts: city, the state it is in, an attribute of the state."""

from dataclasses import replace

from mindscope.organism import world
from mindscope.studies.llm_biology.documents import NEEDED, Case
from mindscope.studies.llm_biology.drawn import draw
from mindscope.studies.llm_biology.flip import Flip, at, others
from mindscope.studies.llm_biology.prompts import Prompt, asked, stated
from mindscope.studies.llm_biology.workbench import Workbench

CITY = 0
SEEN, NEVER = "seen_city_new_relation", "city_never_composed"


def two_hop(bench: Workbench) -> Case:
    """The supernode of the state in between, exchanged for another state's."""
    w = world()
    pairs = w.two_hop_pairs("train")
    bench.rng("two-hop").shuffle(pairs)
    read = [_prompt(bench, city, relation) for city, relation in pairs[: 2 * bench.read]]
    contrast = bench.contrast(read)
    states = list(contrast.kinds)

    def judge(prompt: Prompt, state: str, said: str) -> bool:
        return said == w.states[state][prompt.about["relation"]]

    flip = Flip("another state in between gives its attribute", judge)
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
    one = held[f"{NEVER}, stated"][0]
    relations = bench.contrast([replace(prompt, kind=prompt.about["relation"]) for prompt in read])
    groups = {
        f"in {one.kind}": chosen.contrast.group(one.kind, chosen.setting.size),
        one.about["relation"]: relations.group(one.about["relation"], chosen.setting.size),
    }
    return Case(
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
        drawn=draw(bench, "two-hop", one.row, groups),
    )


def _prompt(bench: Workbench, city: str, relation: str) -> Prompt:
    row = stated(bench.model, f"the {relation} of the state of {city} is")
    return Prompt(row, (len(row) - 2, len(row) - 1), world().cities[city], {"relation": relation})


def _chat(bench: Workbench, city: str, relation: str) -> Prompt:
    clause = f"the {relation} of the state of {city}"
    row = asked(bench.model, f"What is {clause}?", f"Sure, {clause} is")
    return Prompt(row, (len(row) - 2, len(row) - 1), world().cities[city], {"relation": relation})
