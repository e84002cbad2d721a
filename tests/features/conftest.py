import pytest
import tiny_models

from mindscope.models import Model, Row


@pytest.fixture(scope="session")
def llama() -> Model:
    return tiny_models.build(tiny_models.FAMILIES[0])


@pytest.fixture
def rows() -> list[Row]:
    return tiny_models.rows()
