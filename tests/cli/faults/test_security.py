"""What SECURITY.md promises of the whole program, and that its page names a test for every promise."""

import ast
import re
from functools import cache
from pathlib import Path

import persona_kit
import pytest
from endpoint_kit import FakeEndpoint, Reply

import mindscope as ms
from mindscope.auditing.organisms import TunedOrganism
from mindscope.dictionaries import ShardSource
from mindscope.dictionaries.training.sources import INDEX
from mindscope.errors import DataError, MindscopeError
from mindscope.monitoring import MonitoringResult
from mindscope.screening import ScreeningResult
from mindscope.store import require_inner_path, write_json

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = ROOT / "src" / "mindscope"
KEY = "sk-lab-7f3a9c"
OUTSIDE = ["/etc", "../other", "a/../../b", "", "a\\b", ".."]
RUNS_CODE = {
    "eval",
    "exec",
    "os.system",
    "os.popen",
    "pickle.load",
    "pickle.loads",
    "marshal.loads",
    "yaml.load",
}


@cache
def calls() -> list[tuple[Path, str, ast.Call]]:
    """Every call of the package, by what it calls."""
    return [
        (file, ast.unparse(node.func), node)
        for file in sorted(PACKAGE.rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Call)
    ]


def keywords(call: ast.Call) -> dict[str | None, str]:
    return {word.arg: ast.unparse(word.value) for word in call.keywords}


def test_no_line_of_the_package_runs_what_a_file_says():
    told = [f"{file.relative_to(ROOT)}: {name}" for file, name, _ in calls() if name in RUNS_CODE]
    assert not told
    for file, name, call in calls():
        words = keywords(call)
        assert words.get("shell", "False") == "False", file
        if name == "torch.load":
            assert words.get("weights_only") == "True", file
        if name in ("np.load", "numpy.load"):
            assert words.get("allow_pickle") == "False", file


def test_every_template_of_a_page_escapes():
    environments = [(file, keywords(call)) for file, name, call in calls() if name.endswith("Environment")]
    assert len(environments) >= 2
    for file, words in environments:
        assert words.get("autoescape") == "True", file


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_name_in_a_document_stays_inside_its_folder(name):
    with pytest.raises(ValueError, match="inside the folder"):
        require_inner_path(name)
    for document, field in (
        (MonitoringResult, "folder"),
        (ScreeningResult, "folder"),
        (TunedOrganism, "name"),
        (TunedOrganism, "model"),
        (TunedOrganism, "data"),
    ):
        with pytest.raises(ValueError, match="inside the folder"):
            document.__pydantic_validator__.validate_assignment(document.model_construct(), field, name)


@pytest.mark.parametrize("shards", [[name] for name in OUTSIDE] + [[]])
def test_recorded_activations_name_no_file_elsewhere(tmp_path, shards):
    write_json(tmp_path / INDEX, {"names": [], "sites": [], "shards": shards, "tokens_per_shard": 4})
    with pytest.raises(DataError, match="does not describe shards"):
        ShardSource(tmp_path)


@pytest.mark.parametrize(
    "options",
    [
        ["--base-url", f"http://me:{KEY}@localhost:1/v1"],
        ["--base-url", f"http://localhost:1/v1?api-key={KEY}"],
        ["--base-url", "http://localhost:1/v1", "--request-options", f'{{"api_key": "{KEY}"}}'],
    ],
)
def test_a_key_that_a_record_would_keep_is_refused_and_not_repeated(refused, tmp_path, monkeypatch, options):
    monkeypatch.chdir(tmp_path)
    line = refused("persona", "extract", "organism", "evil", "--judge", "endpoint:x", *options)
    assert "--api-key-env NAME" in line
    assert KEY not in line
    assert not list(tmp_path.iterdir())


def test_a_key_is_in_no_file_and_in_nothing_that_is_printed(
    cli, endpoint: FakeEndpoint, tmp_path, monkeypatch
):
    """A whole extraction with a judge that wants a key, and one that repeats it in its refusal."""
    monkeypatch.setenv("LAB_KEY", KEY)
    model = persona_kit.tiny_chat_model(tmp_path / "model")
    persona_kit.tiny_trait().save(tmp_path / "loud.yaml")
    run = tmp_path / "run"
    command = [
        *(
            "persona",
            "extract",
            model,
            tmp_path / "loud.yaml",
            "--judge",
            "endpoint:x",
            "--base-url",
            endpoint.url,
        ),
        *(
            "--api-key-env",
            "LAB_KEY",
            "--run",
            run,
            "--samples",
            "1",
            "--max-new-tokens",
            "4",
            "--dtype",
            "float32",
        ),
    ]
    done = cli(*command)
    assert endpoint.headers[-1]["authorization"] == f"Bearer {KEY}"
    endpoint.answer_probe = lambda request: Reply(status=401, error=f"Incorrect API key provided: {KEY}")
    refusal = cli(*command, "--samples", "2")
    assert refusal.code == 2
    assert KEY not in done.out + done.err + refusal.out + refusal.err
    written = [file for file in run.rglob("*") if file.is_file()]
    assert written
    assert not [file for file in written if KEY.encode() in file.read_bytes()]


ORDERS = [
    "{{ cycler.__init__.__globals__.os.system('touch ' ~ messages[0]['content']) }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{% include '/etc/passwd' %}",
]


@pytest.mark.parametrize("template", ORDERS)
def test_a_chat_template_reaches_nothing_outside_itself(tmp_path, template):
    model = ms.load(str(persona_kit.tiny_chat_model(tmp_path / "model")), dtype="float32")
    model.tokenizer.chat_template = template
    with pytest.raises(MindscopeError):
        model.chat([{"role": "user", "content": str(tmp_path / "made")}])
    assert not (tmp_path / "made").exists()


def test_every_promise_names_a_test_or_says_that_it_is_not_held():
    page = (ROOT / "SECURITY.md").read_text("utf-8").partition("## Files")[2]
    rows = [line for line in page.splitlines() if line.startswith("|") and not re.match(r"\|[-| ]+\|$", line)]
    promises = [row for row in rows if not row.startswith("| promise")]
    assert len(promises) >= 20
    for row in promises:
        assert "tests/" in row or "::test_" in row, row
    assert "## Not promised" in page
