import explain_kit
import pytest

from mindscope.dictionaries import Dictionary, DictionaryBank
from mindscope.explain import Survey, SurveyConfig, survey_features
from mindscope.models import Model
from mindscope.store import Run

CONFIG = SurveyConfig(top=4, sample=10, before=3, after=2, controls=8, block_rows=16, read_rows=5)


@pytest.fixture(scope="session")
def model() -> Model:
    return explain_kit.model()


@pytest.fixture(scope="session")
def dictionary(model: Model) -> Dictionary:
    return explain_kit.planted(model)


@pytest.fixture(scope="session")
def surveyed(model: Model, dictionary: Dictionary, tmp_path_factory: pytest.TempPathFactory) -> Survey:
    with Run.open(tmp_path_factory.mktemp("run"), kind="feature", config={}) as run:
        return survey_features(model, DictionaryBank(dictionary), iter(explain_kit.corpus()), run, CONFIG)
