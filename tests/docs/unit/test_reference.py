"""The reference says what the code says, and its text is text."""

import inspect
import re
from pathlib import Path
from typing import get_type_hints

import absent
import pytest

from mindscope.jobs.registry import JOBS, find_job

reference = absent.import_or_skip("reference", "dev")


def test_every_command_has_its_options_with_their_help():
    pages = reference.command_pages()
    from typer.main import get_command

    from mindscope.cli.app import app

    for noun, command in get_command(app).commands.items():
        page = pages[f"commands/{noun}"]
        for name, verb in getattr(command, "commands", {"": command}).items():
            assert f"# mindscope {noun} {name}".rstrip() in page
            for parameter in verb.params:
                if parameter.param_type_name == "option" and not parameter.hidden:
                    assert f"`{parameter.opts[0]}`" in page
                    assert parameter.help
    assert "The folder where everything is kept; by default `runs/TRAIT`" in pages["commands/persona"]


def test_every_run_has_a_default_that_its_help_names():
    for name in JOBS:
        job = find_job(name)
        if "run" not in inspect.signature(job).parameters:
            continue
        spec = get_type_hints(job)["spec"]
        place = re.match(r"`([^`]+)`", inspect.getdoc(spec.run_path) or "")
        assert place is not None, f"{name}: the docstring of run_path begins with no path"
        if re.fullmatch(r"[a-z/-]+", place[1]) and not re.search(
            " or | where ", inspect.getdoc(spec.run_path)
        ):
            assert spec.model_construct().run_path() == Path(place[1]), name


def test_every_public_name_has_its_docstring_and_its_fields():
    pages = reference.name_pages()
    assert "## PersonaVectors" in pages["python/personas"]
    sampling = pages["python/models"].partition("## Sampling\n")[2].partition("\n## ")[0]
    assert "max_new_tokens" in sampling
    headings = re.findall(r"^##+ (\w+)$", "\n".join(pages.values()), re.MULTILINE)
    assert len(headings) > 500


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("`[rows, d_model]` of {x} | <y>", "`[rows, d_model]` of \\{x\\} \\| \\<y\\>"),
        ("a `b|c` and\n  more", "a `b\\|c` and more"),
        (None, ""),
    ],
)
def test_nothing_but_code_is_markup(text, shown):
    assert reference.escape(text) == shown


def test_sections_become_lists():
    text = "First.\n\nArgs:\n    x: what it is,\n      and more.\n    y: [rows].\n\nRaises:\n    A: it."
    lists = "**Args**\n\n- `x`: what it is, and more.\n- `y`: \\[rows\\].\n\n**Raises**\n\n- `A`: it."
    assert reference.prose(text) == f"First.\n\n{lists}"
