"""The quickstart: what it chooses and why, what it writes and when, and how it is gone on with."""

import shlex

import persona_kit
import pytest
from job_kit import RecordingReporter, require_round_trip, require_sentences

import mindscope as ms
from mindscope.errors import DataError, ModelError
from mindscope.jobs import RunFolder
from mindscope.jobs.doctor import DoctorReport, GpuReport, MemoryReport
from mindscope.jobs.quickstart import QuickstartSpec, choose, quickstart, run_quickstart
from mindscope.models import LoadOptions, count_parameters

GIB = 2**30


def machine(free: float, *gpus: float) -> DoctorReport:
    """A machine with so much free memory, and GPUs of so much."""
    return DoctorReport.model_construct(
        memory=MemoryReport(total_gib=free, available_gib=free),
        gpus=tuple(GpuReport(name=f"gpu{index}", memory_gib=memory) for index, memory in enumerate(gpus)),
        cpu=type("Cpu", (), {"cores": 4})(),
    )


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return persona_kit.tiny_chat_model(tmp_path_factory.mktemp("tiny"))


def test_its_specification_explains_itself_and_goes_to_json():
    require_sentences(quickstart)
    require_round_trip(QuickstartSpec(model="m.gguf", traits=("evil", "a / b"), go=True, minutes=3))


@pytest.mark.parametrize(
    ("gib", "free", "gpus", "wanted", "chosen"),
    [
        (2, 16, (), "auto", ("cpu", "auto")),  # 2 GiB in half precision
        (8, 16, (), "auto", ("cpu", "bfloat16")),  # 16 in full do not fit
        (8, 16, (24,), "auto", ("cuda", "auto")),
        (8, 64, (8,), "auto", ("cpu", "auto")),  # too large for the GPU
        (8, 64, (8, 24), "auto", ("cuda", "auto")),  # the largest counts
        (2, 16, (24,), "cpu", ("cpu", "auto")),
    ],
)
def test_the_device_is_where_the_weights_fit(gib, free, gpus, wanted, chosen):
    *device, why = choose.choose_device("m", gib * GIB // 2, machine(free, *gpus), wanted)
    assert tuple(device) == chosen
    assert why


@pytest.mark.parametrize(("free", "gpus", "wanted"), [(8, (), "auto"), (8, (8,), "auto"), (64, (8,), "cuda")])
def test_what_fits_nowhere_is_refused_before_it_is_loaded(free, gpus, wanted):
    with pytest.raises(ModelError, match=r"8\.0 GiB of weights .* take a smaller model"):
        choose.choose_device("m", 4 * GIB, machine(free, *gpus), wanted)


def test_traits_and_judge_are_those_that_the_model_and_the_judge_can_do():
    assert choose.choose_traits("organism", 10**7, ()).chosen == "evil, sycophantic, hallucinating"
    assert choose.choose_traits("m", 10**8, ()).chosen.startswith("optimistic, ")
    large = choose.choose_traits("m", 7 * 10**9, ())
    assert large.chosen == "sycophantic, evil, optimistic"
    assert "7.0 billion" in large.why
    assert choose.choose_traits("m", 10**8, ("kind",)).chosen == "kind"
    assert choose.choose_judge("organism").chosen == "exact"
    assert choose.choose_traits("second-organism", 10**7, ()) == choose.choose_traits("organism", 10**7, ())
    assert choose.choose_judge("second-organism").chosen == "exact"
    assert choose.choose_judge("m").chosen == "contrast"


@pytest.mark.parametrize(("minutes", "index"), [(60, 0), (30, 0), (29, 1), (10, 1), (9, 2), (1, 2)])
def test_the_size_is_the_largest_that_is_through_in_time(minutes, index):
    size, choice = choose.choose_size([1800.0, 600.0, 90.0], minutes)
    assert size is choose.SIZES[index]
    assert "30 min, 10 min, 2 min" in choice.why
    assert ("nothing is through" in choice.why) == (minutes == 1)


def test_traits_for_which_there_is_no_time_are_not_said_to_be_chosen():
    choice = choose.choose_traits("organism", 10**7, ())
    assert choose.limit_traits(choice, ("evil", "sycophantic", "hallucinating")) == choice
    limited = choose.limit_traits(choice, ("evil",))
    assert limited.chosen == "evil"
    assert "no time for more" in limited.why


def test_parameters_are_counted_before_weights_are_read(tiny):
    assert count_parameters("organism") == 3_879_168  # the organism's card
    weights = ms.load(str(tiny), dtype="float32").hf.parameters()
    assert count_parameters(str(tiny), LoadOptions()) == sum(weight.numel() for weight in weights)


def test_without_a_network_it_says_what_to_begin_with():
    spec = QuickstartSpec(model="owner/model")
    with pytest.raises(ModelError, match=r"owner/model.*without a network give .* or begin with `organism`"):
        quickstart(spec, run=RunFolder(spec.run_path()), reporter=RecordingReporter())


def test_it_writes_nothing_until_it_is_told_to_go(tiny, tmp_path):
    run = RunFolder(tmp_path / "run")
    report = quickstart(QuickstartSpec(model=str(tiny)), run=run, reporter=RecordingReporter())
    assert not run.path.exists()
    assert report.demo is None
    assert report.seconds is not None
    assert report.seconds > 0
    assert [choice.what for choice in report.choices] == ["device", "traits", "judge", "size"]
    assert report.command.startswith(f"mindscope demo --model {tiny}")
    assert report.then[0] == report.command


@pytest.fixture
def begun(monkeypatch):
    """What the demo was asked for, and the command that its run remembers; each call begins a run."""
    asked = []

    def begin(spec, *, run, reporter):
        asked.append((spec, run.command))
        with run.open(kind="demo", config={}, reporter=reporter):
            pass

    monkeypatch.setattr(run_quickstart, "demo", begin)
    return asked


def test_it_runs_what_it_said_and_goes_on_with_what_was_begun(tiny, tmp_path, begun):
    run = RunFolder(tmp_path / "run", ("quickstart", str(tiny), "--go"))
    spec = QuickstartSpec(model=str(tiny), go=True, minutes=1e6, traits=("optimistic", "kind / unkind"))
    report = quickstart(spec, run=run, reporter=RecordingReporter())
    asked, command = begun[0]
    assert asked.traits == ("optimistic", "kind / unkind")
    assert not asked.quick
    assert shlex.join(("mindscope", *command)) == report.command  # `runs resume` gives it, without a choice
    hurried = spec.model_copy(update={"minutes": 1e-6, "traits": ()})
    again = quickstart(hurried, run=run, reporter=RecordingReporter())
    assert begun[1] == begun[0]
    assert "was begun with it" in again.choices[0].why


def test_a_run_of_somebody_else_chooses_nothing(tiny, tmp_path, begun, monkeypatch):
    run = RunFolder(tmp_path / "run", ("quickstart", str(tiny), "--go"))
    spec = QuickstartSpec(model=str(tiny), go=True, minutes=1e6, traits=("optimistic",))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "theirs"))
    quickstart(spec, run=run, reporter=RecordingReporter())
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "ours"))
    report = quickstart(spec.model_copy(update={"go": False}), run=run, reporter=RecordingReporter())
    assert report.choices[0].what == "device"


def test_what_the_smallest_sizes_do_not_show_is_said_with_what_to_do(tiny, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise DataError("it can be steered by none of its traits")

    monkeypatch.setattr(run_quickstart, "demo", refuse)
    for minutes, more in ((1e-6, "a larger --minutes with another --run"), (1e6, "none of its traits$")):
        spec = QuickstartSpec(model=str(tiny), go=True, minutes=minutes, traits=("optimistic",))
        with pytest.raises(DataError, match=more):
            quickstart(spec, run=RunFolder(tmp_path / "run"), reporter=RecordingReporter())
