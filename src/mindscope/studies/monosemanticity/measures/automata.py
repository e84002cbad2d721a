"""Features that call up others on the next token: finite-state automata.

A feature i raises tokens, and these make others fire. To first order, with p the mean prediction where i is
active, w its logit weights and q_j(v) how often j is active on token v, taking i out changes how often j is
active on the next token in proportion to

    E_ij = sum_v p_v (w_iv - sum_u p_u w_iu) q_j(v).

It is said from one half of the rows and tested on the other: i is taken out at tokens where it is active,
which changes the prediction by D(v); next tokens are drawn in proportion to |D|, the model reads on, and

    M_ij = |D|_1 mean of sign D(v) [j is active on v]

is, without bias, how much more often j is active behind i than it would be without it.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from mindscope.studies.common import PieceProgress, say_rule
from mindscope.studies.monosemanticity.config import MonosemanticityConfig
from mindscope.studies.monosemanticity.measures.effects import correlate
from mindscope.studies.monosemanticity.measures.reading import find_view_rules, name_favoured
from mindscope.studies.monosemanticity.measures.views import ReadingView, SeedViews, find_often
from mindscope.studies.monosemanticity.results import Automaton, AutomatonEdge, SeedAutomata

ROWS_AT_ONCE = 128
SUCCESSORS = 3
"""Features called up most, among which a circle is looked for."""
LENGTHS = (4, 3, 2)
"""Of circles, the longest first."""


@torch.no_grad()
def measure_automata(
    seed: SeedViews,
    focus: str,
    config: MonosemanticityConfig,
    number: int,
    words: Sequence[str],
    progress: PieceProgress,
) -> SeedAutomata:
    """Say and test which features call up which; `number` is the seed of what is drawn."""
    view = seed.views[focus]
    read, test = view.read(seed.read), view.read(seed.test)
    often = find_often(read[:, :-1], test[:, :-1])
    said = predict_calls(view, seed, read, often)
    progress(1, 4)
    draw = torch.Generator().manual_seed(number)
    places = often.nonzero()[:, 0]
    callers = torch.randperm(len(places), generator=draw)[: config.callers].tolist()
    rows = []
    for done, caller in enumerate(callers):
        measured = measure_calls(view, seed.test, test, int(places[caller]), config, draw)[often]
        other = callers[(done + 1) % len(callers)]
        rows.append((correlate(measured, said[caller]), correlate(measured, said[other])))
        progress(len(callers) + 2 * (done + 1), 4 * len(callers))
    effects, effects_other = torch.tensor(rows).mean(0).tolist() if rows else (0.0, 0.0)
    follows, alone = count_calls(test[..., often])
    first = said.argmax(1)
    lifts = ((follows + 1e-4) / (alone + 1e-4)).log2()
    own = lifts.gather(1, first[:, None]).mean()
    return SeedAutomata(
        callers=len(callers),
        effects=round(effects, 5),
        effects_other=round(effects_other, 5),
        lift=round(float(own), 5),
        lift_other=round(float(lifts.gather(1, first.roll(1)[:, None]).mean()), 5),
        loops=round(float((first == torch.arange(len(first))).float().mean()), 5),
        automata=_show_automata(seed, view, places, said, (follows, alone), words),
    )


def predict_calls(
    view: ReadingView, seed: SeedViews, read: Tensor, often: Tensor
) -> Float[Tensor, "callers called"]:
    """E of all features that are active often, from the rows to read."""
    values = read[..., often]
    active = (values > 0).float()
    tokens = F.one_hot(seed.read.flatten(), seed.vocabulary).float()
    profiles = (tokens.T @ active.flatten(0, 1)) / tokens.sum(0)[:, None].clamp(min=1)
    predicted = torch.cat(
        [view.model.run(part[None])[0][0].softmax(-1) for part in seed.read.split(ROWS_AT_ONCE)]
    )
    where = active.flatten(0, 1)
    p = (where.T @ predicted.flatten(0, 1)) / where.sum(0)[:, None].clamp(min=1)
    weights = view.logit_weights()[often]
    return (p * (weights - (p * weights).sum(1, keepdim=True))) @ profiles


def measure_calls(
    view: ReadingView,
    ids: Int[Tensor, "rows tokens"],
    values: Float[Tensor, "rows tokens features"],
    feature: int,
    config: MonosemanticityConfig,
    draw: torch.Generator,
) -> Float[Tensor, "features"]:
    """M of one feature for all others, out of some of the tokens where it is active."""
    spots = (values[:, :-1, feature] > 0).nonzero()
    spots = spots[torch.randperm(len(spots), generator=draw)[: config.contexts]]
    rows, places = ids[spots[:, 0]], spots[:, 1]
    change = _change_predictions(view, rows, places, feature)
    size = change.abs().sum(1)
    if float(size.max()) == 0:
        return torch.zeros(values.shape[2])
    drawn = torch.multinomial(change.abs() + 1e-12, config.draws, replacement=True, generator=draw)
    signs = change.gather(1, drawn).sign() * size[:, None] / config.draws
    # one row for each next token that was drawn; what follows it cannot be seen from there
    following = rows.repeat_interleave(config.draws, 0)
    behind = (places + 1).repeat_interleave(config.draws)[:, None]
    following = following.scatter(1, behind, drawn.view(-1, 1))
    total = torch.zeros(values.shape[2])
    for part, at, sign in zip(
        following.split(ROWS_AT_ONCE), behind.split(ROWS_AT_ONCE), signs.view(-1).split(ROWS_AT_ONCE),
        strict=True,
    ):  # fmt: skip
        read = view.read(part)
        active = read.gather(1, at[..., None].expand(-1, 1, read.shape[2]))[:, 0] > 0
        total += sign @ active.float()
    return total / len(rows)


def count_calls(
    values: Float[Tensor, "rows tokens features"],
) -> tuple[Float[Tensor, "callers called"], Float[Tensor, "called"]]:
    """How often each feature is active behind each, and how often at all."""
    before, behind = ((values[:, part] > 0).float().flatten(0, 1) for part in (slice(-1), slice(1, None)))
    return (before.T @ behind) / before.sum(0)[:, None].clamp(min=1), behind.mean(0)


def find_circle(
    called: Int[Tensor, "features successors"], follows: Float[Tensor, "features features"], length: int
) -> tuple[int, ...]:
    """The likeliest circle of so many features, each step to one of the successors; empty without any."""
    best, found = 0.0, ()
    successors = called.tolist()

    def walk(path: tuple[int, ...], odds: float) -> None:
        nonlocal best, found
        for follower in successors[path[-1]]:
            chance = odds * float(follows[path[-1], follower])
            if len(path) == length:
                if follower == path[0] and chance > best:
                    best, found = chance, path
            elif follower > path[0] and follower not in path and chance > best:
                walk((*path, follower), chance)

    for feature in range(len(successors)):
        walk((feature,), 1.0)  # each circle is found from its smallest number
    return found


def _change_predictions(
    view: ReadingView, rows: Tensor, places: Tensor, feature: int
) -> Float[Tensor, "rows vocabulary"]:
    """The prediction at each row's place, less that without the feature."""
    at = places[:, None, None]

    def predict(ids: Tensor, *, out: bool) -> Tensor:
        part = view.read(ids)[..., feature, None] * view.directions[feature] if out else 0.0
        logits, _ = view.model.run(ids[None], edit=lambda _, neurons, __: neurons - part)
        return logits[0].gather(1, at.expand(-1, 1, logits.shape[-1]))[:, 0].softmax(-1)

    return predict(rows, out=False) - predict(rows, out=True)


def _show_automata(
    seed: SeedViews,
    view: ReadingView,
    places: Tensor,
    said: Tensor,
    counted: tuple[Tensor, Tensor],
    words: Sequence[str],
) -> tuple[Automaton, ...]:
    """The likeliest circle of each length, in words."""
    follows, alone = counted
    rules, weights = find_view_rules(seed, view), view.logit_weights()
    called = said.topk(min(SUCCESSORS, said.shape[1]), 1).indices
    automata = []
    for length in LENGTHS:
        circle = find_circle(called, follows, length)
        if not circle:
            continue
        own = [int(places[feature]) for feature in circle]
        steps = [(caller, follower) for caller in circle for follower in called[caller].tolist()]
        automata.append(
            Automaton(
                features=tuple(own),
                rules=tuple(say_rule(int(rules.offsets[n]), words[int(rules.tokens[n])]) for n in own),
                favoured=tuple(name_favoured(weights[n], words) for n in own),
                edges=tuple(
                    AutomatonEdge(
                        caller=int(places[caller]),
                        called=int(places[follower]),
                        follows=round(float(follows[caller, follower]), 4),
                        alone=round(float(alone[follower]), 4),
                    )
                    for caller, follower in steps
                    if follower in circle
                ),
            )
        )
    return tuple(automata)
