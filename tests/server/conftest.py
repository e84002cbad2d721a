import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import absent
import postgres_kit
import pytest
import server_kit
import torch
from sqlalchemy import create_engine, make_url, text
from workbench_kit import open_browser

from mindscope.features import Direction, FeatureSet
from mindscope.models import Model, load
from mindscope.personas import PersonaVectors
from mindscope.server import ServerLimits, SteeringService
from mindscope.server.engine.registry import VectorRegistry
from mindscope.server.workbench.routes import WorkbenchPlace

TRAITS = ("evil", "kind")


@pytest.fixture(scope="session")
def organism() -> Model:
    return load("organism", dtype="float32")


@pytest.fixture(scope="session")
def vectors(organism: Model) -> dict[str, PersonaVectors]:
    """Two random traits at every layer, long enough to change what is said."""
    generator = torch.Generator().manual_seed(3)
    return {
        name: PersonaVectors(
            name,
            organism.fingerprint,
            {"answer_mean": 3 * torch.randn(organism.n_layers, organism.d_model, generator=generator) / 4},
            tuple(range(organism.n_layers)),
        )
        for name in TRAITS
    }


@pytest.fixture(scope="session")
def watched(vectors: dict[str, PersonaVectors]) -> list[Direction]:
    return [one.direction(2) for one in vectors.values()]


@pytest.fixture(scope="session")
def make_service(organism: Model, vectors: dict[str, PersonaVectors], watched: list[Direction]):
    """`make_service(level=1.0, policy=Policy("stop"), slots=4)`: thresholds only where a level is given."""

    def make(*, level: float | None = None, policy=None, **limits) -> SteeringService:
        bounds = ServerLimits(**limits)
        return SteeringService(
            organism,
            bounds,
            registry=VectorRegistry(organism, vectors, layer=2, most=bounds.max_vectors),
            watched=watched,
            calibration=None if level is None else server_kit.thresholds(FeatureSet(watched), level),
            policy=policy,
        )

    return make


@pytest.fixture(scope="session")
def server(make_service) -> Iterator[server_kit.LiveServer]:
    """One that watches nothing unless it is asked to."""
    with server_kit.serving(make_service()) as live:
        yield live


@pytest.fixture(scope="session")
def alarmed(make_service) -> Iterator[server_kit.LiveServer]:
    """One whose thresholds are so low that answers cross them."""
    with server_kit.serving(make_service(level=0.5)) as live:
        yield live


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of runs that the workbench is opened over; a module may have its own, with runs in it."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def live(make_service, root: Path) -> Iterator[server_kit.LiveServer]:
    """The workbench over `root`."""
    place = WorkbenchPlace(root, {"model": "organism", "dtype": "float32"})
    with server_kit.serving(make_service(), workbench=place) as live:
        yield live


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Its pages are opened in this one."""
    with open_browser() as opened:
        yield opened


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL server: the one that runs already, or one of these tests' own."""
    if (running := os.environ.get(postgres_kit.URL)) is not None:
        yield running
        return
    programs = postgres_kit.find_programs()
    if programs is None:
        absent.skip_absent("PostgreSQL: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))  # a socket's path is short
    yield postgres_kit.start(folder, programs)
    postgres_kit.stop(folder, programs)


@pytest.fixture
def postgres_schema(postgres: str) -> Iterator[str]:
    """The URL of an empty schema of its own."""
    name, engine = f"test_{secrets.token_hex(8)}", create_engine(postgres)
    with engine.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {name}"))
    url = make_url(postgres).update_query_dict({"options": f"-csearch_path={name}", "application_name": name})
    yield url.render_as_string(hide_password=False)
    with engine.begin() as connection:
        connection.execute(text(f"DROP SCHEMA {name} CASCADE"))
    engine.dispose()
