"""Interventions that mean nothing get one line at the door, and whatever happens inside leaves no hook."""

import circuit_kit
import pytest
import tiny_models

from mindscope.circuits import (
    DictionaryReplacement,
    Intervention,
    NeuronReplacement,
    ValidationConfig,
    intervene,
    intervening,
    targets,
    trace,
    validate_graph,
)
from mindscope.circuits.interventions.intervening import find_held_layers
from mindscope.errors import MindscopeError
from mindscope.features import Direction
from mindscope.models import Model, Sampling

ROW = circuit_kit.ROW
NAMED = {family.name: family for family in tiny_models.FAMILIES}


@pytest.fixture(scope="module")
def model() -> Model:
    return tiny_models.build(NAMED["llama"])


@pytest.fixture(scope="module")
def replacement(model: Model) -> DictionaryReplacement:
    return DictionaryReplacement(circuit_kit.dictionary(model))


MADE = {
    "unknown operation 'multiply' on a feature: use one of set, ": (0, 1, 2, "multiply", 1.0),
    "changed by nan: give a finite number": (0, 1, 2, "set", float("nan")),
    "layers and features count from 0": (-1, 1, 2),
    "-3 is not a position of feature 2 of layer 0: give numbers from 0": (0, -3, 2),
    "True is not a position": (0, True, 2),
    "() is not a position": (0, (), 2),
    "'everywhere' is not a position": (0, "everywhere", 2),
    "slice(4, 2, None) is not a position": (0, slice(4, 2), 2),
    "slice(0, 4, 2) is not a position": (0, slice(0, 4, 2), 2),
}
GIVEN = {
    "no feature 40 in layer 1: it has 0 to 39": ([Intervention(1, 2, 40)], {}),
    "no layer 3 to intervene in": ([Intervention(3, 2, 1)], {}),
    "at position 10: the prompt has 0 to 9": ([Intervention(1, 10, 1)], {}),
    "behind the end of a prompt of 10": ([Intervention(1, slice(12, None), 1)], {}),
    "changed twice at position 4": ([Intervention(1, slice(2, 6), 1), Intervention(1, 4, 1)], {}),
    "layers with mode 'constrained' alone": ([Intervention(1, 2, 1)], {"layers": range(2)}),
    "layers 2 to 2 (exclusive) hold nothing": ([], {"mode": "constrained", "layers": range(2, 2)}),
    "layers 1 to 4 (exclusive) hold nothing": ([], {"mode": "constrained", "layers": range(1, 4)}),
    "layer 2 write nothing in layers 0 to 1": (
        [Intervention(2, 2, 1)],
        {"mode": "constrained", "layers": range(2)},
    ),
}


@pytest.mark.parametrize("said", MADE)
def test_what_means_nothing_is_refused_where_it_is_made(said: str):
    """As users make it: without the type checks that only the tests run with."""
    one = object.__new__(Intervention)
    for name, value in zip(Intervention.__slots__, (*MADE[said], "set", 0.0), strict=False):
        object.__setattr__(one, name, value)
    with pytest.raises(MindscopeError) as error:
        one.__post_init__()
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_an_unknown_mode_is_refused():
    with pytest.raises(MindscopeError, match="unknown mode 'closed' of an intervention: use one of open, "):
        find_held_layers("closed", None, 3)


@pytest.mark.parametrize("said", GIVEN)
def test_what_the_model_does_not_have_is_refused(said: str, model: Model, replacement):
    changes, options = GIVEN[said]
    with pytest.raises(MindscopeError) as error:
        intervene(model, replacement, ROW, changes, **options)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert tiny_models.hooks_on(model) == 0


@pytest.mark.parametrize("mode", ["open", "frozen", "constrained"])
def test_nothing_stays_behind(mode, model: Model, replacement):
    before, changes = model.next_logits([ROW]), [Intervention(1, slice(2, None), 3, "set", 5.0)]

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), intervening(model, replacement, [ROW], changes, mode=mode):
        assert (model.next_logits([ROW]) - before).abs().max() > 1e-3
        model.generate([ROW], Sampling(max_new_tokens=3), on_token=fail)
    assert tiny_models.hooks_on(model) == 0
    assert (model.next_logits([ROW]) == before).all()


def test_rows_and_lists_that_do_not_agree(model: Model, replacement):
    with (
        pytest.raises(MindscopeError, match="2 lists of interventions for 1 rows"),
        intervening(model, replacement, [ROW], [[], [Intervention(0, 1, 2)]]),
    ):
        pass
    with (
        pytest.raises(MindscopeError, match="than the 1 this block"),
        intervening(model, replacement, [ROW], [Intervention(0, 1, 2)]),
    ):
        model.next_logits([ROW, ROW])
    assert tiny_models.hooks_on(model) == 0


def test_graphs_that_cannot_be_checked(model: Model, replacement):
    graph = trace(model, replacement, ROW)
    other = tiny_models.build(NAMED["qwen3"])
    vector = model.hf.get_input_embeddings().weight[3].detach()
    direction = Direction("x", "resid_post.1", vector, model.fingerprint)
    along = trace(model, replacement, ROW, targets=targets.direction("x", direction))
    for said, call in {
        "of another model": lambda: validate_graph(other, replacement, graph),
        "another replacement": lambda: validate_graph(model, NeuronReplacement(model), graph),
        "changes nothing": lambda: validate_graph(model, replacement, graph, ValidationConfig(factor=1.0)),
        "too few": lambda: validate_graph(model, replacement, graph, nodes=0),
        "no node 'x'": lambda: validate_graph(model, replacement, graph, nodes=["x"]),
        "only features can be changed": lambda: validate_graph(model, replacement, graph, nodes=["E_60_0"]),
        "at least one node": lambda: validate_graph(model, replacement, graph, nodes=[]),
        "does not hold all of its targets": lambda: validate_graph(model, replacement, along),
        "explains other targets": lambda: validate_graph(
            model, replacement, graph, targets=targets.tokens(1)
        ),
    }.items():
        with pytest.raises(MindscopeError, match=said) as error:
            call()
        assert "\n" not in str(error.value)
    assert tiny_models.hooks_on(model) == 0


def test_changes_that_grow_without_bounds_are_refused(model: Model):
    """Where norms are held, each gated MLP squares what the one before has made of a change."""
    replacement = NeuronReplacement(model)
    graph = trace(model, replacement, ROW)
    with pytest.raises(MindscopeError, match="grow beyond what float32 holds"):
        validate_graph(model, replacement, graph, ValidationConfig(factor=1e30, mode="frozen_norms"))
    usual = validate_graph(model, replacement, graph, ValidationConfig(mode="frozen_norms"))
    assert usual.overall.nmse is not None
