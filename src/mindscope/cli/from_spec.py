"""Commands out of jobs: a specification's fields are a command's options.

Name, type, bounds, help and default of an option are said once, by the field. A job's docstring is the help
of its command.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import typer
from annotated_types import Ge, Le
from pydantic import BeforeValidator, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from mindscope.cli.terminal import output
from mindscope.cli.terminal.help_text import LiteralCommand
from mindscope.cli.terminal.session import current_session
from mindscope.errors import DataError
from mindscope.jobs import JobSpec

LAST = (
    "columns",
    "split",
    "judge",
    "judge_dtype",
    "judge_device",
    "base_url",
    "api_key_env",
    "request_options",
    "model",
    "vectors_of_base",
    "dtype",
    "device",
    "revision",
    "attention",
    "device_map",
    "max_memory",
    "offload_folder",
    "trust_remote_code",
    "template_option",
    "seed",
)
"""Options that most commands have; they stand behind all others."""
PLAIN = (str, int, float, bool, Path)
"""Types that a command line reads by itself; of others it takes the text, and the specification reads it."""


def add_command(
    app: typer.Typer,
    name: str,
    job: Callable[..., Any],
    *,
    show: Callable[[Any], None],
    require: Callable[[Any], object] | None = None,
) -> None:
    """Add a job as a command.

    Args:
        app: the noun that the command belongs to.
        name: the verb.
        job: `job(spec, *, reporter)` or `job(spec, *, run, reporter)`; the second has an option `--run`.
        show: prints the job's document for people; `--json` prints it for a machine.
        require: raises, once the document is printed, where it is not what was hoped for.
    """
    keeps_work = "run" in inspect.signature(job).parameters

    def act(spec: JobSpec, as_json: bool, folder: Path | None) -> None:
        run = current_session().run_folder(folder or spec.run_path()) if keeps_work else None
        keywords = {} if run is None else {"run": run}
        try:
            with output.terminal_reporter() as reporter:
                document = job(spec, **keywords, reporter=reporter)
        finally:
            if run is not None:
                run.push()
        if document is None:  # another process of the same job has it, and prints it
            return
        if as_json:
            output.print_json(document.model_dump(mode="json"))
        else:
            show(document)
            for artifact in getattr(document, "borrowed", ()):
                output.say(str(artifact))
            if run is not None and run.mirror is not None:
                output.say(f"kept in {run.mirror.address}, of which that is a copy")
        if require is not None:
            require(document)

    kind: type[JobSpec] = get_type_hints(job)["spec"]
    add_spec_command(app, name, kind, act, about=_help(job), keeps_work=keeps_work)


def add_spec_command(
    app: typer.Typer,
    name: str,
    kind: type[JobSpec],
    act: Callable[[Any, bool, Path | None], object],
    *,
    about: str,
    keeps_work: bool = False,
) -> None:
    """Add a command whose options are a specification's fields.

    Args:
        app: the noun that the command belongs to.
        name: the verb.
        kind: the specification.
        act: called with the specification, whether JSON is asked for, and the folder of `--run`, if any.
        about: the help of the command.
        keeps_work: adds the option `--run`.
    """

    def command(**values: Any) -> None:
        as_json, folder = values.pop("json"), values.pop("run", None)
        if not keeps_work:
            current_session().require_no_run()
        act(build_spec(kind, values), as_json, folder)

    parameters = [_parameter(field, info, kind) for field, info in _ordered(kind)]
    if keeps_work:
        option = typer.Option("--run", help=_run_help(kind))
        parameters.append(_keyword("run", Path | None, None, option))
    parameters.append(_keyword("json", bool, False, typer.Option("--json", help="Print the result as JSON.")))
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    command.__doc__ = about
    app.command(name, cls=LiteralCommand)(command)


def build_spec(kind: type[JobSpec], values: dict[str, Any]) -> JobSpec:
    """A specification out of what was typed; what was left out keeps its default.

    Raises:
        DataError: a value does not fit; the message names the option.
    """
    typed = {
        field: _read(value, kind.model_fields[field])
        for field, value in values.items()
        if value is not None and value != []
    }
    try:
        return kind(**typed)
    except ValidationError as error:
        first = error.errors()[0]
        message = first["msg"].removeprefix("Value error, ")
        if not first["loc"]:
            raise DataError(message) from None
        field = str(first["loc"][0])
        shown = field.upper() if field in kind.arguments else spellings(kind, field)[0]
        raise DataError(f"{shown}: {message}") from None


def spellings(kind: type[JobSpec], field: str) -> tuple[str, ...]:
    """How an option is written."""
    return kind.options.get(field, (f"--{field.replace('_', '-')}",))


def _ordered(kind: type[JobSpec]) -> list[tuple[str, FieldInfo]]:
    """Arguments first, then what is the command's own, then what most commands have.

    Of the command's own what is required comes first, then what the most particular class says.
    """
    fields = kind.model_fields
    offered = [name for name in fields if name not in (*kind.arguments, *kind.hidden)]

    def rank(name: str) -> tuple[bool, int]:
        home = next(i for i, base in enumerate(kind.__mro__) if name in inspect.get_annotations(base))
        return not fields[name].is_required(), home

    own = sorted((name for name in offered if name not in LAST), key=rank)
    last = [name for name in LAST if name in offered]
    return [(name, fields[name]) for name in (*kind.arguments, *own, *last)]


def _parameter(field: str, info: FieldInfo, kind: type[JobSpec]) -> inspect.Parameter:
    required = info.default is PydanticUndefined and info.default_factory is None
    type_, repeatable = _option_type(info)
    default = [] if repeatable and not required else info.get_default(call_default_factory=True)
    shown = None if required else _text(default) if type_ is str else default
    bounds: dict[str, Any] = {}
    if type_ in (int, float):
        for mark in _rules(info):
            bounds |= {"min": mark.ge} if isinstance(mark, Ge) else {}
            bounds |= {"max": mark.le} if isinstance(mark, Le) else {}
    settings: dict[str, Any] = {
        "help": " ".join((info.description or "").split()),
        "show_default": shown is not None and shown != "" and shown != [],
        "metavar": _metavar(info, field if field in kind.arguments else "value" if repeatable else ""),
        **bounds,
    }
    annotation: Any = list[type_] if repeatable else type_
    if not required and (shown is None or repeatable):
        annotation = annotation | None
        shown = None
    if field in kind.arguments:
        mark = typer.Argument(**settings)
    elif type_ is bool:
        names = spellings(kind, field)
        mark = typer.Option(*(names if not shown else (f"{names[0]}/--no-{names[0][2:]}",)), **settings)
    else:
        mark = typer.Option(*spellings(kind, field), **settings)
    return _keyword(field, annotation, inspect.Parameter.empty if required else shown, mark)


def _rules(info: FieldInfo) -> list[Any]:
    """What holds for a field's values: said by the field, or by the type that it may have, as by `Index`."""
    rules = list(info.metadata)
    for choice in get_args(info.annotation):
        if get_origin(choice) is Annotated:
            for mark in get_args(choice)[1:]:
                rules += mark.metadata if isinstance(mark, FieldInfo) else [mark]
    return rules


def _bare(annotation: Any) -> Any:
    """A type without what is said about its values."""
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _metavar(info: FieldInfo, otherwise: str) -> str | None:
    """What stands for a value in the help; None lets typer name the type."""
    extra = info.json_schema_extra
    named = extra.get("metavar") if isinstance(extra, dict) else None
    return str(named) if named else otherwise.upper() or None


def _option_type(info: FieldInfo) -> tuple[Any, bool]:
    """The type that a command line reads, and whether the option may be repeated."""
    annotation = info.annotation
    if get_origin(annotation) in (Union, UnionType):
        choices = [_bare(choice) for choice in get_args(annotation) if choice is not NoneType]
        annotation = choices[0] if len(choices) == 1 else str
    if get_origin(annotation) is tuple and get_args(annotation)[0] in (str, Path):
        return get_args(annotation)[0], True
    if get_origin(annotation) is Literal or annotation in PLAIN:
        return annotation, False
    return str, False


def _read(value: Any, info: FieldInfo) -> Any:
    """Values beside one another, `8,12,16` or `sae,clt`, where a field is a tuple; else as it was typed.

    A field with a `BeforeValidator` reads its text itself.
    """
    if any(isinstance(mark, BeforeValidator) for mark in info.metadata):
        return tuple(value) if isinstance(value, list) else value
    annotation = info.annotation
    if get_origin(annotation) in (Union, UnionType):
        annotation = next((a for a in get_args(annotation) if get_origin(a) is tuple), annotation)
    if isinstance(value, str) and get_origin(annotation) is tuple:
        if not value:  # how the default of a tuple that may be empty is typed
            return ()
        kind = _bare(get_args(annotation)[0])
        if kind not in (int, float):
            return tuple(part.strip() for part in value.split(","))
        try:
            return tuple(kind(part) for part in value.split(","))
        except ValueError:
            raise DataError(
                f"{value!r} is not a list of numbers: write for example 0.5,1,2 (layers are whole)"
            ) from None
    return tuple(value) if isinstance(value, list) else value


def _text(default: Any) -> str | None:
    if isinstance(default, tuple):
        return ",".join(f"{part:g}" if isinstance(part, float) else str(part) for part in default)
    return default


def _keyword(name: str, annotation: Any, default: Any, mark: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[annotation, mark]
    )


def _run_help(kind: type[JobSpec]) -> str:
    """What `--run` means; where a run is otherwise says the docstring of `run_path`, path first."""
    place = (inspect.getdoc(kind.run_path) or "").partition("\n")[0].rstrip(".")
    return f"The folder where everything is kept; by default {place}."


def _help(job: Callable[..., Any]) -> str:
    """A job's docstring up to its sections, a line per paragraph."""
    text = inspect.getdoc(job) or ""
    for section in ("\n\nArgs:", "\n\nReturns:", "\n\nRaises:"):
        text = text.split(section)[0]
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
