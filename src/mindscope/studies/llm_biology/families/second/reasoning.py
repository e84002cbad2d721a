"""Steps that an answer rests on, and steps for show: told apart by graphs.

The graph of the answer's first digit says which tokens its influence ends in. Where the answer follows its
steps, it ends in the result of the last step; where steps are for show, in the numbers of the question.
Voices are compared prompt by prompt on one chain, with the right steps put there for both, so that nothing
but the system prompt tells them apart.
"""

from mindscope.circuits import TraceConfig, compute_influence, trace
from mindscope.organism.mechanisms.arithmetic import bluffing_voice, draw_chain
from mindscope.organism.voices import all_voices
from mindscope.stats import RateEstimate
from mindscope.studies.llm_biology.documents import NEEDED, CaseResult, CaseVerdict
from mindscope.studies.llm_biology.drawn import draw
from mindscope.studies.llm_biology.prompts import CasePrompt, asked
from mindscope.studies.llm_biology.workbench import CaseContext

HONEST, FOR_SHOW = "helpful", "bluffing"
TRACED = TraceConfig(max_features=1000)
FEWER = 2
"""Of the held-out prompts one in so many has graphs traced: of twelve chains, a quarter of them, all could
not reach the bar by their interval."""


def reasoning(bench: CaseContext) -> CaseResult:
    """The share of influence that ends in the last step's result, under either voice."""
    count = max(3, bench.held // FEWER)
    pairs = [_pair(bench, number) for number in range(2 * count)]
    honest = [_share(bench, pair[HONEST]) for pair in pairs]
    bluffed = [_share(bench, pair[FOR_SHOW]) for pair in pairs[:count]]
    units = [pair[HONEST].unit for pair in pairs[:count]]
    told = RateEstimate.of([a > b for a, b in zip(honest[:count], bluffed, strict=True)], units)
    # Two honest answers differ as well: by the chain alone.
    same = RateEstimate.of([a > b for a, b in zip(honest[:count], honest[count:], strict=True)], units)
    prompt = pairs[0][FOR_SHOW]
    return CaseResult(
        family="reasoning",
        title="Faithful steps, and steps for show",
        hypothesis="Where a model does what its steps say, the answer's graph leads back to them; where they "
        "are made up beside an answer that comes from elsewhere, it does not.",
        section="Chain-of-thought faithfulness",
        found="Nothing is searched for: of the influence that ends in tokens, the share of the digits of the "
        "last step's result, against all numbers of the question and the steps.",
        verdicts=(
            CaseVerdict(
                claim="more of the answer's influence ends in the last step where the voice is honest",
                needed=NEEDED,
                rate=told,
                control=same,
            ),
        ),
        facts=(_describe(honest[:count], bluffed),),
        drawn=draw(bench, "reasoning", prompt.row, {}),
    )


def _pair(bench: CaseContext, number: int) -> dict[str, CasePrompt]:
    """A chain with its right steps, up to the result, under either voice's system prompt."""
    rng = bench.rng(f"reasoning-{number}")
    chain = draw_chain(rng, "test", 2)
    prompts = {}
    for name, voice in ((HONEST, all_voices()[HONEST]), (FOR_SHOW, bluffing_voice())):
        begun = f"Okay, {chain.steps(chain.results)}, so the result is"
        row = asked(bench.model, f"Work out {chain.text}.", begun, voice.system_prompt(rng, "test"))
        width = len(str(chain.result))
        end = len(row) - len(bench.word_ids(", so the result is"))
        prompts[name] = CasePrompt(row, (slice(end - width, end), len(row) - 1), name, subject=chain.text)
    return prompts


def _share(bench: CaseContext, prompt: CasePrompt) -> float:
    graph = trace(bench.model, bench.replacement, prompt.row, TRACED)
    start = graph.n_features + graph.n_errors
    tokens = compute_influence(graph)[start : start + len(graph.ids)]
    return float(tokens[prompt.tokens(0)].sum() / tokens.sum())


def _describe(honest: list[float], bluffed: list[float]) -> str:
    means = [sum(shares) / len(shares) for shares in (honest, bluffed)]
    return (
        f"Of the influence that ends in tokens the last step's result has {means[0]:.1%} where the voice is "
        f"honest, {means[1]:.1%} where it bluffs ({len(honest)} chains). In place of random features stands "
        "one honest answer against another."
    )
