import pytest
import tiny_models

from mindscope.models import Model


@pytest.fixture(scope="module")
def llama() -> Model:
    return tiny_models.build(tiny_models.FAMILIES[0])
