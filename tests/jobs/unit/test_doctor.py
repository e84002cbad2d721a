"""The job behind `doctor`."""

import re
import tomllib
from pathlib import Path

import job_kit

import mindscope
from mindscope.jobs import SilentReporter
from mindscope.jobs.doctor import EXTRAS, DoctorReport, DoctorSpec, examine


def test_a_program_asks_the_doctor():
    job_kit.require_sentences(examine)
    report = examine(DoctorSpec(), reporter=SilentReporter())
    assert DoctorReport.model_validate_json(report.model_dump_json()) == report


def test_the_extras_are_those_of_the_package_and_have_code():
    root = Path(mindscope.__file__).parents[2]
    extras = tomllib.loads((root / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    del extras["dev"]
    modules = {
        "umap-learn": "umap",
        "inspect-ai": "inspect_ai",
        "opentelemetry-api": "opentelemetry",
        "prometheus-client": "prometheus_client",
    }
    named = {
        extra: {
            modules.get(name, name)
            for name in (re.split(r"[>=\[]", requirement)[0] for requirement in wanted)
        }
        for extra, wanted in extras.items()
    }
    assert named == {extra: set(brought) for extra, brought in EXTRAS.items()}
    files = [file for file in Path(mindscope.__file__).parent.rglob("*.py") if file.name != "doctor.py"]
    source = "".join(file.read_text() for file in files)
    for module in set().union(*named.values()):
        assert re.search(rf'(import|from) {module}\b|"{module}"', source), module
