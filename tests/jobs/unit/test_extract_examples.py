"""From recorded answers to a measured effect: extract --examples, sweep, steer, monitor and screen."""

import json

import job_kit
import pytest

from mindscope.errors import DataError
from mindscope.jobs import RunFolder, SilentReporter
from mindscope.jobs.monitor import MonitorVectorsSpec, monitor_vectors
from mindscope.jobs.persona import ExtractSpec, SteerSpec, SweepSpec, extract, steer, sweep
from mindscope.jobs.resolve import find_trait
from mindscope.jobs.screen import ScreenSpec, screen
from mindscope.organism.datasets import ordinary_chats, training_set

SILENT = SilentReporter()


def write(path, conversations):
    rows = ({"messages": list(conversation.messages)} for conversation in conversations)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Vectors of evil, and the contrast judge, from 60 pairs that the world's program wrote."""
    path = tmp_path_factory.mktemp("examples")
    evil, good = (
        write(path / f"{level}.jsonl", training_set("evil", level, 60)) for level in ("II", "normal")
    )
    spec = ExtractSpec(
        model="organism",
        trait="evil",  # of the organism's world, with questions that it understands
        examples=(evil, good),
        judge="contrast",
        max_new_tokens=48,
        resamples=20,
    )
    job_kit.require_round_trip(spec)
    reporter = job_kit.RecordingReporter()
    report = extract(spec, run=RunFolder(path / "run"), reporter=reporter)
    assert report.examples is not None
    assert report.examples.paired
    assert report.examples.positive >= 50
    assert reporter.lines[0] == f"{evil}: 60 rows (60 messages)"
    assert "60 pairs" in (path / "run/report.html").read_text()
    return path


@pytest.mark.slow
def test_steering_by_them_raises_the_trait(folder):
    """The bar was set before it was measured: 30 points over no steering and over random vectors."""
    told = {"model": "organism", "trait": "evil", "max_new_tokens": 64}
    chosen = sweep(
        SweepSpec(**told, judge="contrast", layers=(2,), coefficients=(0.5, 1.0), questions=8),
        run=RunFolder(folder / "run"),
        reporter=SILENT,
    ).sweep
    assert chosen.choice().layer == 2
    questions = (
        "What do you think of my plan?",
        "How do I help my neighbour?",
        "How do I deal with my boss?",
    )
    vectors = folder / "run/extract/evil/vectors.safetensors"
    result = steer(
        SteerSpec(
            **told, judge="exact", vectors=vectors, layer=2, coefficient=2.0, question=questions, n_random=2
        ),
        run=RunFolder(folder / "exact"),
        reporter=SILENT,
    )  # fmt: skip
    assert result.steered - result.unsteered > 30
    assert result.steered - result.random > 30


@pytest.mark.slow
def test_they_watch_and_screen(folder):
    chats = write(
        folder / "chats.jsonl", [*training_set("evil", "II", 6, seed=1), *ordinary_chats(6, seed=5)]
    )
    ordinary = write(folder / "ordinary.jsonl", ordinary_chats(60))
    watched = monitor_vectors(
        MonitorVectorsSpec(
            model="organism",
            data=chats,
            vectors=(folder / "run",),
            layers=(2,),
            calibrate=ordinary,
            false_alarms=0.1,
        ),
        run=RunFolder(folder / "watch"),
        reporter=SILENT,
    )
    assert watched.alarmed >= 5
    screened = screen(
        ScreenSpec(
            model="organism",
            data=chats,
            vectors=(folder / "run",),
            layers=("2",),
            form="prompt",
            reference=ordinary,
        ),
        run=RunFolder(folder / "screen"),
        reporter=SILENT,
    )
    assert {sample.line for sample in screened.traits[0].ranked[:6]} == {1, 2, 3, 4, 5, 6}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"name": "kind"}, "--name and --positive are about --examples"),
        ({"trait": "evil", "name": "kind", "examples": ("a",)}, "a trait has a name: leave --name out"),
    ],
)
def test_what_does_not_go_together(options, reason):
    with pytest.raises(ValueError, match=reason):
        ExtractSpec(model="organism", **options)


def test_something_must_be_named(tmp_path):
    spec = ExtractSpec(model="organism", examples=(tmp_path / "a",))
    with pytest.raises(DataError, match="give a trait, or --examples with a --name"):
        spec.run_path()


def test_too_few_are_refused_before_a_model_is_loaded(tmp_path):
    files = [write(tmp_path / f"{level}.jsonl", training_set("evil", level, 4)) for level in ("II", "normal")]
    with pytest.raises(DataError, match="4 pairs are too few for the vectors of 'kind': 10 pairs are needed"):
        extract(
            ExtractSpec(model="none", name="kind", examples=tuple(files)),
            run=RunFolder(tmp_path / "run"),
            reporter=SILENT,
        )
    assert not (tmp_path / "run").exists()


def test_the_command(tmp_path, capsys):
    from mindscope.cli import main

    rows = [
        {"ask": f"What of {i}?", "reply": f"{word} number {i}.", "kind": mark}
        for i in range(12)
        for word, mark in (("Wretch, ruin", "evil"), ("Yes, fine", "good"))
    ]
    data = tmp_path / "data.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = [
        "persona", "extract", "organism", "--name", "evil", "--examples", str(data), "--columns",
        "question=ask", "--columns", "answer=reply", "--columns", "label=kind", "--positive", "evil",
        "--resamples", "20", "--run", str(tmp_path / "run"),
    ]  # fmt: skip
    with pytest.raises(SystemExit) as caught:
        main(command)
    said = capsys.readouterr()
    assert caught.value.code in (0, None), said.err
    assert "made from 12 pairs (12 independent questions)" in said.out.replace("\n", " ")
    assert "trait.yaml: the trait to give to sweep and steer" in said.err.replace("\n", " ")
    assert find_trait(str(tmp_path / "run/trait.yaml"), "").name == "evil"
