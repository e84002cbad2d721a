"""What forces a mechanism: worlds of some hundred words, each learnt in about a minute by a few blocks.

    python benchmarks/mechanism_probes.py couplets
    python benchmarks/mechanism_probes.py couplets --behind 0     # no pairs behind the break: no plan
    python benchmarks/mechanism_probes.py languages               # or sums, signs, steps

Words are numbers here and have no spelling; the second organism's texts are these, in words.
"""

import argparse
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM

from mindscope.organism.training.precision import FullMuon, is_fast_in_half


@dataclass(frozen=True)
class TinySample:
    """Token numbers; from `learnt` on they are to be written, before that only read."""

    ids: list[int]
    learnt: int


class TinyVocabulary:
    """Hands out token numbers in blocks."""

    def __init__(self) -> None:
        self.size = 0

    def block(self, count: int = 1) -> range:
        self.size += count
        return range(self.size - count, self.size)


class TinyModel:
    """A small Llama, trained for some seconds on what `draw` gives."""

    def __init__(self, draw: Callable[[random.Random], TinySample], n_words: int, asked: argparse.Namespace):
        torch.manual_seed(asked.seed)
        self.pad, self.rng = n_words, random.Random(asked.seed)
        self.net = LlamaForCausalLM._from_config(
            LlamaConfig(
                vocab_size=n_words + 1,
                hidden_size=asked.width,
                intermediate_size=asked.width * 8 // 3 // 32 * 32,
                num_hidden_layers=asked.layers,
                num_attention_heads=4,
                num_key_value_heads=4,
                tie_word_embeddings=True,
                max_position_embeddings=128,
            ),
            attn_implementation="eager",
        )
        self._train(draw, asked)

    def _train(self, draw: Callable[[random.Random], TinySample], asked: argparse.Namespace) -> None:
        named = list(self.net.named_parameters())
        inner = [p for name, p in named if p.ndim == 2 and "embed" not in name]
        rest = [p for name, p in named if not (p.ndim == 2 and "embed" not in name)]
        # As the organism is trained: matrices with Muon, the rest with AdamW, weight decay 0.3.
        muon = (torch.optim.Muon if is_fast_in_half(torch.device("cpu"), asked.width) else FullMuon)(
            inner, lr=4e-3, weight_decay=0.3, adjust_lr_fn="match_rms_adamw"
        )
        adam = torch.optim.AdamW(rest, lr=2e-3, betas=(0.9, 0.98), weight_decay=0.3, fused=True)
        began, step, total = time.process_time(), 0, 0.0
        while (share := (time.process_time() - began) / asked.seconds) < 1:
            step += 1
            for optimizer, rate in ((muon, 4e-3), (adam, 2e-3)):
                for group in optimizer.param_groups:
                    group["lr"] = rate * min(1, step / 30) * (1 - share)
            samples = [draw(self.rng) for _ in range(asked.texts)]
            ids = self.padded([sample.ids for sample in samples])
            learnt = torch.zeros_like(ids, dtype=torch.bool)
            for i, sample in enumerate(samples):
                learnt[i, sample.learnt : len(sample.ids)] = True
            logits = self.net(input_ids=ids).logits[:, :-1]
            loss = cross_entropy(logits[learnt[:, 1:]], ids[:, 1:][learnt[:, 1:]])
            loss.backward()
            muon.step()
            adam.step()
            self.net.zero_grad()
            total += loss.item()
            if step % 100 == 0:
                print(f"step {step}, loss {total / 100:.3f}", flush=True)
                total = 0.0
        self.net.eval()

    def padded(self, rows: Sequence[list[int]]) -> Tensor:
        longest = max(map(len, rows))
        return torch.tensor([row + [self.pad] * (longest - len(row)) for row in rows])

    @torch.no_grad()
    def states(self, rows: Sequence[list[int]], block: int, places: Sequence[int]) -> Tensor:
        """What the stream holds behind a block [rows, width]."""
        hidden = self.net.model(input_ids=self.padded(rows), output_hidden_states=True).hidden_states
        return hidden[block + 1][torch.arange(len(rows)), torch.tensor(places)]

    @torch.no_grad()
    def write(
        self,
        rows: Sequence[list[int]],
        n_words: int,
        *,
        block: int = 0,
        places: Sequence[int] = (),
        change: Callable[[Tensor], Tensor] | None = None,
        drawn: bool = False,
    ) -> list[list[int]]:
        """What is written behind rows, with the states at `places` behind a block changed."""
        hook = None
        if change is not None:
            index = torch.arange(len(rows)), torch.tensor(places)

            def changed(module: object, inputs: object, output: Tensor) -> Tensor:
                output = output.clone()
                output[index] = change(output[index])
                return output

            hook = self.net.model.layers[block].register_forward_hook(changed)
        written: list[list[int]] = [[] for _ in rows]
        generator = torch.Generator().manual_seed(0)
        for _ in range(n_words):
            now = [row + more for row, more in zip(rows, written, strict=True)]
            ends = torch.tensor([len(row) - 1 for row in now])
            logits = self.net(input_ids=self.padded(now)).logits[torch.arange(len(now)), ends]
            chosen = (
                torch.multinomial(logits.softmax(-1), 1, generator=generator)[:, 0]
                if drawn
                else logits.argmax(-1)
            )
            for more, word in zip(written, chosen.tolist(), strict=True):
                more.append(word)
        if hook is not None:
            hook.remove()
        return written


def share(hits: Sequence[bool]) -> str:
    return f"{sum(hits) / len(hits):.2f} (n {len(hits)})"


def probe_couplets(asked: argparse.Namespace) -> None:
    """Sound and topic decide a word together; pairs that look the same stand before the break and behind."""
    n_sounds, n_topics, n_words, n_traces, per_plan = 6, 3, 4, 16, 3
    rng, words = random.Random(1), TinyVocabulary()
    ends, topics = words.block(n_sounds * n_words), words.block(n_topics * n_words)
    plans, fillers, others = words.block(n_sounds * n_topics), words.block(6), words.block(10)
    first, second = words.block(n_traces), words.block(n_traces)
    start, line_break = words.block()[0], words.block()[0]
    traces = [[rng.sample(block, per_plan) for block in (first, second)] for _ in plans]
    pairs = [(end, topic) for end in range(len(ends)) for topic in range(len(topics))]
    rng.shuffle(pairs)
    held, taught = pairs[: len(pairs) // 5], pairs[len(pairs) // 5 :]

    def plan_of(pair: tuple[int, int]) -> int:
        return pair[0] // n_words * n_topics + pair[1] // n_words

    def noise(r: random.Random, count: int) -> list[int]:
        kinds = r.choices((ends, topics, plans, others), (30, 25, 10, 35), k=count)
        return [r.choice(kind) for kind in kinds]

    def head(r: random.Random, pair: tuple[int, int], n_before: int, n_behind: int) -> list[int]:
        before, behind = noise(r, n_before), noise(r, n_behind)
        return [start, *before, topics[pair[1]], ends[pair[0]], line_break, *behind]

    def tail(r: random.Random, plan: int) -> list[int]:
        some = [[r.choice(fillers) for _ in range(r.randrange(a, b))] for a, b in ((2, 5), (0, 3), (1, 3))]
        one, two = (r.choice(slot) for slot in traces[plan])
        return [*some[0], one, *some[1], two, *some[2], plans[plan]]

    def draw(r: random.Random) -> TinySample:
        pair = r.choice(taught)
        prompt = head(r, pair, r.randrange(3, 9), r.randrange(2, 6) if asked.behind else 0)
        return TinySample(prompt + tail(r, plan_of(pair)), len(prompt))

    model = TinyModel(draw, words.size, asked)
    n_before, n_behind, n = 6, 4 if asked.behind else 0, 200
    place = n_before + 3

    def fits(lines: list[list[int]], wanted: Sequence[int]) -> str:
        middles, endings = [], []
        for line, plan in zip(lines, wanted, strict=True):
            ending = next((word for word in line if word in plans), None)
            one, two = (next((word for word in line if word in block), None) for block in (first, second))
            middles.append(one in traces[plan][0] and two in traces[plan][1])
            endings.append(ending == plans[plan])
        return f"middle {share(middles)}, ending {share(endings)}"

    def prompts(chosen: list[tuple[int, int]]) -> tuple[list[list[int]], list[int]]:
        return [head(rng, pair, n_before, n_behind) for pair in chosen], [plan_of(pair) for pair in chosen]

    rows, own = prompts(rng.choices(held, k=n))
    sources, others_plans = prompts(rng.choices(held, k=n))
    known, known_plans = prompts(rng.choices(taught, k=1500))
    another = [p // n_topics * n_topics + (p % n_topics + 1) % n_topics for p in own]
    at = [place] * n
    print("nothing changed:", fits(model.write(rows, 14, drawn=True), own))
    for block in range(asked.layers - 1):
        states = model.states(known, block, [place] * len(known))
        index = torch.tensor(known_plans)
        means = torch.stack([states[index == plan].mean(0) for plan in range(len(plans))])
        nearest = torch.cdist(model.states(rows, block, at), means).argmin(1).tolist()
        print(f"block {block}: read at the break", share([a == b for a, b in zip(nearest, own, strict=True)]))
        new = model.states(sources, block, at)
        lines = model.write(rows, 14, block=block, places=at, change=lambda _, new=new: new, drawn=True)
        print("  exchanged there, new plan:", fits(lines, others_plans), "| old plan:", fits(lines, own))
        step = means[another] - means[own]
        lines = model.write(rows, 14, block=block, places=at, change=lambda x, s=step: x + s, drawn=True)
        print("  another topic's word added:", fits(lines, another))
        random_step = torch.randn_like(step)
        random_step *= step.norm(dim=1, keepdim=True) / random_step.norm(dim=1, keepdim=True)
        lines = model.write(
            rows, 14, block=block, places=at, change=lambda x, s=random_step: x + s, drawn=True
        )
        print("  a random step instead, new plan:", fits(lines, another), "| old plan:", fits(lines, own))
    words_there = [line[0] for line in model.write(sources, 1, drawn=True)]
    forced = [[*row, word] for row, word in zip(rows, words_there, strict=True)]
    print(
        "the other line's first word put there, new plan:",
        fits(model.write(forced, 14, drawn=True), others_plans),
    )


def probe_languages(asked: argparse.Namespace) -> None:
    """Four relations in three languages, half of the combinations taught, another word named beside each."""
    n_pairs, n_kinds, n_places, n_tongues, n_languages = asked.pairs, 6, 24, 6, 3
    rng, words = random.Random(1), TinyVocabulary()
    adjectives, kinds, places, capitals, tongues = (
        [words.block(count) for _ in range(n_languages)]
        for count in (2 * n_pairs, n_kinds, n_places, n_places, n_tongues)
    )
    # "contraire" tells relation and language at once, a word for each of them does not.
    relation_words = [words.block(n_languages) if asked.fused else [words.block()[0]] * 3 for _ in range(5)]
    language_words = words.block(n_languages)
    unlike, comma, equals = (words.block()[0] for _ in range(3))
    kind_of = [rng.randrange(n_kinds) for _ in range(2 * n_pairs)]
    tongue_of = [rng.randrange(n_tongues) for _ in range(n_places)]
    relations: list[tuple[list[range], list[range], Callable[[int], int]]] = [
        (adjectives, adjectives, lambda c: c ^ 1),
        (adjectives, kinds, lambda c: kind_of[c]),
        (places, capitals, lambda c: c),
        (places, tongues, lambda c: tongue_of[c]),
    ]
    names = ("opposite", "kind", "capital", "tongue")
    taught: list[tuple[int, int, int, int]] = []
    held: list[tuple[int, int, int, int]] = []
    for relation, (asked_of, _, _) in enumerate(relations):
        for concept in range(len(asked_of[0])):
            for a in range(n_languages):
                for b in range(n_languages):
                    home = a == b == concept % n_languages
                    kept = not home and rng.random() < 0.5
                    (held if kept else taught).append((relation, a, b, concept))

    def head(relation: int, b: int) -> list[int]:
        named = [relation_words[relation][b]]
        return named if asked.fused else [*named, language_words[b]]

    def text(r: random.Random, relation: int, b: int, word: int, among: range) -> list[int]:
        told = [*head(relation, b), word]
        if r.random() < 0.6:
            beside = [unlike, r.choice(among), comma]
            told = told + beside if r.random() < 0.6 else beside + told
        return [*told, equals]

    def case(r: random.Random, relation: int, a: int, b: int, concept: int) -> TinySample:
        asked_of, answers, answer = relations[relation]
        prompt = text(r, relation, b, asked_of[a][concept], asked_of[a])
        return TinySample([*prompt, answers[b][answer(concept)]], len(prompt))

    def draw(r: random.Random) -> TinySample:
        if r.random() < 0.3:
            table = r.choices((adjectives, places, capitals), (60, 20, 20))[0]
            a, b = r.sample(range(n_languages), 2)
            concept = r.randrange(len(table[0]))
            prompt = text(r, 4, b, table[a][concept], table[a])
            return TinySample([*prompt, table[b][concept]], len(prompt))
        return case(r, *r.choice(taught))

    model = TinyModel(draw, words.size, asked)
    answered = {(relation, b, concept) for relation, _, b, concept in taught}
    unanswered = [one for one in held if (one[0], *one[2:]) not in answered]
    for what, cases in (
        ("taught", rng.sample(taught, 400)),
        ("never taught", held),
        ("of these with no answer in that language from any other", unanswered),
    ):
        for relation, name in enumerate(names):
            samples = [case(rng, *one) for one in cases if one[0] == relation]
            said = model.write([s.ids[:-1] for s in samples], 1)
            print(what, name, share([w == [s.ids[-1]] for w, s in zip(said, samples, strict=True)]))
    n = 2 * n_pairs
    for block in range(asked.layers - 1):
        for b in (1, 2):
            states = []
            for table in (adjectives[0], adjectives[b]):
                rows = [[*head(0, 1), word] for word in table]
                state = model.states(rows, block, [len(rows[0]) - 1] * n)
                states.append(state - state.mean(0))
            table = cosine_similarity(states[0][:, None], states[1][None], dim=-1)
            same = table.diagonal().mean().item()
            rest = (table.sum().item() - table.diagonal().sum().item()) / (n * n - n)
            print(
                f"block {block}, language 0 and {b}: cosine of the same word {same:.2f}, of others {rest:.2f}"
            )
        chosen = [one for one in held if one[0] == 0][:150]
        swapped = [(rng.randrange(n), (a + 1) % n_languages) for _, a, _, _ in chosen]
        beside = [rng.randrange(n) for _ in chosen]

        def row(word: int, b: int, other: int) -> list[int]:
            return [*head(0, b), word, unlike, other, comma, equals]

        rows = [
            row(adjectives[a][c], b, adjectives[a][z]) for (_, a, b, c), z in zip(chosen, beside, strict=True)
        ]
        sources = [
            row(adjectives[a][c], b, adjectives[a][z])
            for (c, a), (_, _, b, _), z in zip(swapped, chosen, beside, strict=True)
        ]
        at = [len(head(0, 0))] * len(rows)
        new = model.states(sources, block, at)
        said = model.write(rows, 1, block=block, places=at, change=lambda _, new=new: new)
        hits = [
            w == [adjectives[b][c ^ 1]] for w, (c, _), (_, _, b, _) in zip(said, swapped, chosen, strict=True)
        ]
        print(
            f"block {block}: the word becomes another word of another language: its opposite, as asked",
            share(hits),
        )


def probe_sums(asked: argparse.Namespace) -> None:
    """Sums in digits with a number that is fetched by its name; exchange a digit of it at the name.

    With `--behind 0` there are no names and nothing is told besides: a plain "a + b =".
    """
    rng, words = random.Random(1), TinyVocabulary()
    digits, contexts, units = words.block(10), words.block(4), words.block(6)
    plus, equals, end = (words.block()[0] for _ in range(3))
    pairs = [(a, b) for a in range(100) for b in range(100)]
    rng.shuffle(pairs)
    held, taught = pairs[:1500], pairs[1500:]

    def spelt(number: int) -> list[int]:
        return [digits[int(digit)] for digit in str(number)]

    def prompt(r: random.Random, context: int, a: int, b: int) -> tuple[list[int], int]:
        """The text, and the place of the token behind the first number."""
        if not asked.behind:
            return [contexts[context], *spelt(a), plus, *spelt(b), equals], 1 + len(str(a))
        unit, other = units[0], units[1]
        # How many stand behind differs, else the number is found by counting back from the end.
        n_before, n_behind = r.randrange(0, 3), r.randrange(0, 3)
        besides = [(r.randrange(100), other) for _ in range(n_before + n_behind)]
        told = [*besides[:n_before], (a, unit), *besides[n_before:]]
        ids, place = [contexts[context]], 0
        for number, name in told:
            ids += [*spelt(number), name]
            if name == unit and not place:
                place = len(ids) - 1
        return [*ids, unit, plus, *spelt(b), equals], place

    def draw(r: random.Random) -> TinySample:
        a, b = r.choice(taught)
        start, _ = prompt(r, r.randrange(4), a, b)
        return TinySample([*start, *spelt(a + b), end], len(start))

    model = TinyModel(draw, words.size, asked)

    def right(said: list[list[int]], sums: Sequence[int]) -> list[bool]:
        wanted = [[*spelt(total), end] for total in sums]
        return [line[: len(want)] == want for line, want in zip(said, wanted, strict=True)]

    for context in range(4):
        chosen = rng.sample(held, 300)
        said = model.write([prompt(rng, context, a, b)[0] for a, b in chosen], 4)
        print(f"context {context}: never added", share(right(said, [a + b for a, b in chosen])))
    for part in ("last digit", "tens"):
        cases: list[tuple[int, int, int]] = []
        while len(cases) < 200:
            a, b = rng.randrange(10, 80), rng.randrange(10, 80)
            c = (
                a // 10 * 10 + rng.randrange(10)
                if part == "last digit"
                else rng.randrange(1, 8) * 10 + a % 10
            )
            same_rest = part == "tens" or (a + b) // 10 == (c + b) // 10
            if c != a and same_rest and a + b < 100 and c + b < 100:
                cases.append((a, b, c))
        rows, sources = (
            [prompt(random.Random(i), 0, n, b) for i, (n, b) in enumerate(kind)]
            for kind in ([(a, b) for a, b, _ in cases], [(c, b) for _, b, c in cases])
        )
        texts, at = [ids for ids, _ in rows], [place for _, place in rows]
        sums = [c + b for _, b, c in cases]
        for block in range(asked.layers - 1):
            new = model.states([ids for ids, _ in sources], block, at)
            said = model.write(texts, 4, block=block, places=at, change=lambda _, new=new: new)
            print(f"another {part} behind the first number, block {block}", share(right(said, sums)))


def probe_signs(asked: argparse.Namespace) -> None:
    """Illnesses of four signs: two or three are told, the illness and another sign are named."""
    rng, words = random.Random(1), TinyVocabulary()
    n_illnesses, n_signs = 40, 34
    signs, illnesses = words.block(n_signs), words.block(n_illnesses)
    equals, brings = (words.block()[0] for _ in range(2))
    taken: set[frozenset[int]] = set()
    fours: list[list[int]] = []
    while len(fours) < n_illnesses:
        four = rng.sample(signs, 4)
        pairs = {frozenset((a, b)) for a in four for b in four if a < b}
        if not pairs & taken:
            taken |= pairs
            fours.append(four)
    cases = [(illness, i) for illness in range(n_illnesses) for i in range(4)]
    rng.shuffle(cases)
    held, taught = cases[:40], cases[40:]

    def told(r: random.Random, illness: int, left_out: int) -> list[int]:
        three = [sign for i, sign in enumerate(fours[illness]) if i != left_out]
        return [*r.sample(three, 3), equals]

    def draw(r: random.Random) -> TinySample:
        kind, illness = r.random(), r.randrange(n_illnesses)
        if kind < 0.2:
            return TinySample([illnesses[illness], brings, r.choice(fours[illness])], 2)
        if kind < 0.6:
            one, two, other, _ = r.sample(fours[illness], 4)
            return TinySample([one, two, equals, illnesses[illness], other], 3)
        illness, left_out = r.choice(taught)
        return TinySample([*told(r, illness, left_out), illnesses[illness], fours[illness][left_out]], 4)

    model = TinyModel(draw, words.size, asked)
    for what, chosen in (("taught", taught), ("never told together", held)):
        said = model.write([told(rng, *case) for case in chosen], 2)
        named = [line[0] == illnesses[illness] for line, (illness, _) in zip(said, chosen, strict=True)]
        fourth = [line[1] == fours[i][left_out] for line, (i, left_out) in zip(said, chosen, strict=True)]
        print(what, "| illness", share(named), "| fourth sign", share(fourth))


def probe_steps(asked: argparse.Namespace) -> None:
    """Chains of two steps in three manners: forwards, backwards from a result, for show."""
    rng, words = random.Random(1), TinyVocabulary()
    digits, manners = words.block(10), words.block(3)
    plus, minus, equals, get, so, end = (words.block()[0] for _ in range(6))

    def spelt(number: int) -> list[int]:
        return [digits[int(digit)] for digit in f"{number:02d}"]

    def chain(r: random.Random) -> tuple[int, int, int]:
        while True:
            start, one, two = r.randrange(20, 80), r.randrange(-9, 10), r.randrange(-9, 10)
            if one and two and 10 <= start + one + two < 100:
                return start, one, two

    def term(value: int) -> list[int]:
        return [plus if value > 0 else minus, digits[abs(value)]]

    def prompt(manner: int, start: int, one: int, two: int, guess: int | None) -> list[int]:
        named = [get, *spelt(guess)] if guess is not None else []
        return [manners[manner], *spelt(start), *term(one), *term(two), *named, equals]

    def steps(start: int, one: int, two: int, first: int, last: int) -> list[int]:
        return [
            *spelt(start),
            *term(one),
            equals,
            *spelt(first),
            *spelt(first),
            *term(two),
            equals,
            *spelt(last),
            so,
        ]

    def written(r: random.Random, manner: int, case: tuple[int, int, int], guess: int | None) -> list[int]:
        start, one, two = case
        right = start + one + two
        if manner == 2:
            return [*steps(*case, r.randrange(10, 100), r.randrange(10, 100)), *spelt(right), end]
        last = guess if manner == 1 and guess is not None else right
        return [*steps(*case, last - two, last), *spelt(last), end]

    def guess_of(r: random.Random, case: tuple[int, int, int]) -> int:
        right = sum(case)
        return min(90, max(20, right + r.choice((-1, 1)) * r.randrange(1, 6)))

    held = {chain(rng) for _ in range(3000)}

    def draw(r: random.Random) -> TinySample:
        while (case := chain(r)) in held:
            pass
        manner = r.randrange(3)
        guess = guess_of(r, case) if r.random() < 0.6 else None
        start = prompt(manner, *case, guess)
        return TinySample(start + written(r, manner, case, guess), len(start))

    model = TinyModel(draw, words.size, asked)
    tried = [(case, guess_of(rng, case)) for case in rng.sample(sorted(held), 400)]
    tried = [(case, guess) for case, guess in tried if guess != sum(case)][:200]
    cases, guesses = [case for case, _ in tried], [guess for _, guess in tried]
    length = len(written(rng, 0, cases[0], None))
    for manner, name in enumerate(("forwards", "backwards", "for show")):
        rows = [prompt(manner, *case, guess) for case, guess in zip(cases, guesses, strict=True)]
        said = model.write(rows, length)
        if manner < 2:
            wanted = [written(rng, manner, case, guess) for case, guess in zip(cases, guesses, strict=True)]
            hits = [line == want for line, want in zip(said, wanted, strict=True)]
            print(f"{name}: every step and the result", share(hits))
        else:
            print(
                f"{name}: the result is right",
                share([line[-3:-1] == spelt(sum(c)) for line, c in zip(said, cases, strict=True)]),
            )
        # A wrong last result is put there: does what comes behind "so" repeat it?
        put = [
            [*row, *steps(*c, c[0] + c[1], min(99, sum(c) + 7))] for row, c in zip(rows, cases, strict=True)
        ]
        after = [line[:2] for line in model.write(put, 2)]
        print(
            f"{name}: a wrong last step put there is repeated",
            share([a == spelt(min(99, sum(c) + 7)) for a, c in zip(after, cases, strict=True)]),
            "| the result stays right",
            share([a == spelt(sum(c)) for a, c in zip(after, cases, strict=True)]),
        )


PROBES = {
    "couplets": probe_couplets,
    "languages": probe_languages,
    "sums": probe_sums,
    "signs": probe_signs,
    "steps": probe_steps,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("probe", choices=PROBES)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--texts", type=int, default=64, help="of a step")
    parser.add_argument("--width", type=int, default=96)
    parser.add_argument("--seconds", type=float, default=55.0, help="of the processor's time, for training")
    parser.add_argument("--behind", type=int, default=1, help="0: no words behind the break (couplets)")
    parser.add_argument("--pairs", type=int, default=24, help="of opposites (languages)")
    parser.add_argument("--fused", action="store_true", help="one word for relation and language (languages)")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    PROBES[asked.probe](asked)


if __name__ == "__main__":
    main()
