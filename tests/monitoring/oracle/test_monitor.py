"""Policies on a model whose every step is known, beside neighbours that nothing may change."""

import dataclasses
import warnings

import pytest
import tiny_models
import torch

from mindscope.errors import DataError, ModelError
from mindscope.features import Direction
from mindscope.models import Model, Project, Raw, Read, Row, RowAction, Sampling
from mindscope.monitoring import Calibration, Monitor, MonitorWarning, Policy, Signal

GREEDY = Sampling(temperature=0, max_new_tokens=6)
EVIL, GOOD = Row((1,), 1), Row((2, 2, 2), 3)


def kinds(watched) -> list[tuple[str, int | None, float]]:
    return [(event.kind, event.token, round(event.value, 4)) for event in watched.events]


def test_log_and_warn_change_nothing(relapsing: Model, e0: Direction, thresholds: Calibration) -> None:
    evil, good = Monitor([e0], thresholds).generate(relapsing, [EVIL, GOOD], GREEDY)
    assert evil.generation.row.answer == (1,) * 6
    assert kinds(evil) == [("crossed", 0, 5.0)]
    assert good.generation.row.answer == (2,) * 6
    assert (good.events, good.alarms, good.steered) == ((), {}, 0)
    assert evil.trace.turns[0].tokens[:, 0].tolist() == pytest.approx([5.0] * 6)
    heard: list = []
    monitor = Monitor(
        [e0], thresholds, Policy("warn"), on_event=lambda row, event: heard.append((row, event))
    )
    with pytest.warns(MonitorWarning, match=r"conversation 0: e0@resid_post.1 crossed in turn 0 at token 0"):
        monitor.generate(relapsing, [EVIL, GOOD], GREEDY)
    assert heard == [(0, evil.events[0])]


def test_stop_ends_the_row_and_no_other(relapsing: Model, e0: Direction, thresholds: Calibration) -> None:
    evil, good = Monitor([e0], thresholds, Policy("stop")).generate(relapsing, [EVIL, GOOD], GREEDY)
    assert (evil.generation.finish, evil.generation.row.answer) == ("halted", (1,))
    assert (good.generation.finish, good.generation.row.answer) == ("length", (2,) * 6)
    before = dataclasses.replace(thresholds, signal=Signal("last_prompt"))
    evil, good = Monitor([e0], before, Policy("stop")).generate(relapsing, [EVIL, GOOD], GREEDY)
    assert (evil.generation.finish, evil.generation.row.answer) == ("halted", ())
    assert [(event.token, event.turn) for event in evil.events] == [(None, 0)]
    assert good.generation.row.answer == (2,) * 6


def test_steering_back_until_below(relapsing: Model, e0: Direction, thresholds: Calibration) -> None:
    """w1 crosses; under the push the next w1 calls for w2; w2 is below, so the push ends; w2 goes on."""
    monitor = Monitor([e0], thresholds, Policy("steer", 1.0))
    alone = monitor.generate(relapsing, [EVIL], GREEDY)[0]
    assert alone.generation.row.answer == (1, 1, 2, 2, 2, 2)
    assert kinds(alone) == [("crossed", 0, 5.0), ("recovered", 2, 0.0)]
    assert [edit.where for edit in alone.generation.controller_edits] == [
        (2, 3)
    ]  # tokens 1 and 2 of the answer
    assert alone.steered == 2
    rows = [GOOD, EVIL, Row((1, 2), 2), EVIL]
    together = monitor.generate(relapsing, rows, GREEDY)
    assert [each.generation.row.answer for each in together] == [
        (2,) * 6,
        alone.generation.row.answer,
        (2,) * 6,
        alone.generation.row.answer,
    ]
    assert [kinds(each) for each in together] == [[], kinds(alone), [], kinds(alone)]
    assert [each.steered for each in together] == [0, 2, 0, 2]
    # Too weak a push does not bring it back, and goes on.
    weak = Monitor([e0], thresholds, Policy("steer", 0.1)).generate(relapsing, [EVIL], GREEDY)[0]
    assert weak.generation.row.answer == (1,) * 6
    assert weak.steered == 5
    assert tiny_models.hooks_on(relapsing) == 0


def test_a_push_moves_the_activations_by_its_own_length(
    relapsing: Model, e0: Direction, thresholds: Calibration
) -> None:
    watched = Monitor([e0], thresholds, Policy("steer", 1.0)).generate(relapsing, [EVIL], GREEDY)[0]
    row, pushed = watched.generation.row, watched.generation.controller_edits
    reads = {"along": Read("resid_post.1", Project(e0.unit[None], "answer"))}
    edited = relapsing.read([row], reads, edits=[list(pushed)])["along"].values[0][:, 0]
    natural = watched.trace.turns[0].tokens[:, 0]
    assert natural.tolist() == pytest.approx([5, 5, 0, 0, 0, 0], abs=1e-5)
    assert (natural - edited).tolist() == pytest.approx([0, 5, 5, 0, 0, 0], abs=1e-5)


def test_rows_of_any_length_and_their_own_edits(llama: Model, features, thresholds: Calibration) -> None:
    """On a random model: each row of a steered batch is as it is alone, and re-reads as it was written."""
    known = type(features)([features[0]])
    rows = [llama.text(text) for text in ("w1 w2 w3", "w4", "w5 w6 w7 w8 w9 w10", "w11 w2")]
    sampling = Sampling(max_new_tokens=12, seed=4)
    free = Monitor(known).generate(llama, rows, sampling)
    values = torch.cat([each.trace.turns[0].tokens for each in free])[:, 0].double()
    scores = values.sort().values[:, None][: int(0.8 * len(values))]  # so that alarms come and go
    calibration = Calibration(
        known.keys, known.digest(), known.fingerprint, thresholds.signal, 0.2, "each", scores
    )
    monitor = Monitor(known, calibration, Policy("steer", 3.0))
    own = [[], [features[3].edit(0.5, "all")], [], []]
    seeds = [11, 12, 13, 14]
    together = monitor.generate(llama, rows, sampling, edits=own, seeds=seeds)
    assert any(each.steered for each in together)
    assert any(event.kind == "recovered" for each in together for event in each.events)
    for index, each in enumerate(together):
        (alone,) = monitor.generate(llama, [rows[index]], sampling, edits=[own[index]], seeds=[seeds[index]])
        assert alone.generation.row == each.generation.row
        assert kinds(alone) == kinds(each)
        edits = [[*own[index], *each.generation.controller_edits]]
        read = llama.read([each.generation.row], {"h": Read(known[0].address, Raw("answer"))}, edits=edits)
        pushed = torch.zeros(len(each.generation.row.answer))
        for edit in each.generation.controller_edits:
            pushed[[position - rows[index].prompt_length for position in edit.where]] += 1
        norm = known[0].vector.norm()
        left = known[0].project(read["h"].values[0]) + 3.0 * norm * pushed
        assert torch.allclose(left, each.trace.turns[0].tokens[:, 0], atol=1e-3)


def test_a_recorded_conversation_is_watched_over_its_turns(
    relapsing: Model, e0: Direction, thresholds: Calibration
) -> None:
    talk = [
        {"role": "user", "content": "w2"},
        {"role": "assistant", "content": "w2 w1 w2 w1 w1"},
        {"role": "user", "content": "w3"},
        {"role": "assistant", "content": "w1 w2"},
    ]
    watched = Monitor([e0], thresholds).read(relapsing, [talk, talk[:1]])
    assert [(event.kind, event.turn, event.token) for event in watched[0].events] == [
        ("crossed", 0, 1),
        ("recovered", 0, 2),
        ("crossed", 0, 3),  # still raised when the second answer begins
        ("recovered", 1, 1),
    ]
    assert watched[0].trace.series("e0@resid_post.1") == pytest.approx([3.0, 2.5])
    assert watched[1].events == ()
    with pytest.raises(DataError, match="acts on answers while they are written"):
        Monitor([e0], thresholds, Policy("stop")).read(relapsing, [talk])


def test_a_stop_string_takes_its_events_with_it(
    relapsing: Model, e0: Direction, thresholds: Calibration
) -> None:
    sampling = Sampling(temperature=0, max_new_tokens=6, stop=("w2",))
    seen = Monitor([e0], thresholds, Policy("steer")).generate(relapsing, [EVIL], sampling)[0]
    assert seen.generation.row.answer == (1, 1)
    assert kinds(seen) == [("crossed", 0, 5.0)]
    assert len(seen.trace.turns[0].tokens) == 2


def test_bad_use_is_refused_and_leaves_no_hook(
    relapsing: Model, e0: Direction, thresholds: Calibration
) -> None:
    with pytest.raises(DataError, match="needs thresholds"):
        Monitor([e0], None, Policy("stop"))
    with pytest.raises(DataError, match="calibrate again with these"):
        Monitor([Direction("e0", "resid_post.1", 2 * e0.vector, e0.fingerprint)], thresholds)
    with pytest.raises(DataError, match="above 0"):
        Policy("steer", -1)
    with pytest.raises(ModelError, match="where='all'"):
        RowAction(edits=(e0.edit(1.0),))

    def fail(row, event) -> None:
        raise RuntimeError("no")

    monitor = Monitor([e0], thresholds, Policy("steer"), on_event=fail)
    with pytest.raises(RuntimeError, match="no"):
        monitor.generate(relapsing, [EVIL, GOOD], GREEDY)
    assert tiny_models.hooks_on(relapsing) == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert relapsing.generate([EVIL], GREEDY)[0].row.answer == (1,) * 6
