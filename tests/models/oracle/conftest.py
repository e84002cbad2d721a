import pytest
import tiny_models

from mindscope.models import Model


@pytest.fixture(scope="session", params=tiny_models.FAMILIES, ids=lambda family: family.name)
def family(request) -> tiny_models.Family:
    return request.param


@pytest.fixture(scope="session")
def built() -> dict[str, Model]:
    return {}


@pytest.fixture
def model(family: tiny_models.Family, built: dict[str, Model]) -> Model:
    if family.name not in built:
        built[family.name] = tiny_models.build(family)
    return built[family.name]


@pytest.fixture
def llama() -> Model:
    return tiny_models.build(tiny_models.FAMILIES[0])
