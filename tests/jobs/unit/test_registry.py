"""Every command is a job of the registry, explains itself, and has schemas that hold for its own values."""

import inspect
import json
import subprocess
import sys
from typing import Any

import job_kit
import jsonschema
import pytest
from typer.main import get_command

from mindscope.cli.app import app
from mindscope.errors import DataError
from mindscope.jobs import JobSpec
from mindscope.jobs.registry import JOBS, find_job, job_schemas

CONVERSATIONS = {"chat", "organism chat", "serve"}
"""They answer people or their programs until they are stopped, so there is nothing to hand back."""
HOUSEKEEPING = {"doctor", "schema", "runs list", "runs show", "runs resume", "log export"}
"""They tell of the machine, of commands, of runs, and of what a server wrote down."""


def list_commands(command: Any, path: tuple[str, ...] = ()) -> dict[str, Any]:
    if not hasattr(command, "commands"):
        return {" ".join(path): command}
    return {
        name: found
        for verb, inner in command.commands.items()
        for name, found in list_commands(inner, (*path, verb)).items()
    }


def smallest_spec(name: str) -> JobSpec:
    kind = job_kit.spec_type(find_job(name))
    return kind(**job_kit.smallest_values(kind) | job_kit.NEEDED.get(name, {}))


def test_every_command_is_a_job_or_says_why_not():
    commands = list_commands(get_command(app))
    assert {*commands} == {*JOBS} | CONVERSATIONS | HOUSEKEEPING
    for name in JOBS:
        headline = (inspect.getdoc(find_job(name)) or "").partition("\n")[0]
        assert commands[name].help.startswith(headline), name


@pytest.mark.parametrize("name", JOBS)
def test_it_explains_itself(name):
    job_kit.require_sentences(find_job(name))


@pytest.mark.parametrize("name", JOBS)
def test_its_schema_holds_for_its_own_specification(name):
    spec = smallest_spec(name)
    job_kit.require_round_trip(spec)
    schemas = job_schemas(name)
    jsonschema.Draft202012Validator.check_schema(schemas["result"])
    jsonschema.validate(json.loads(spec.model_dump_json()), schemas["spec"])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"nonsense": 1}, schemas["spec"])


def test_schemas_import_no_torch():
    code = "import sys; from mindscope.jobs.registry import export_schemas; export_schemas(); "
    assert subprocess.run([sys.executable, "-c", f"{code}sys.exit('torch' in sys.modules)"]).returncode == 0


def test_an_unknown_job_is_answered_with_those_of_its_noun():
    with pytest.raises(DataError, match=r"no job 'circuit draw': use circuit trace, circuit show"):
        find_job("circuit draw")
