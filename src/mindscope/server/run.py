"""Loading what a `ServeSpec` names, and listening until somebody ends it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from mindscope.errors import DataError
from mindscope.jobs import ModelSpec, block_of, dictionary_file, find_choice, find_vectors

if TYPE_CHECKING:
    from mindscope.dictionaries import Dictionary
    from mindscope.models import Model
    from mindscope.monitoring import Calibration
    from mindscope.personas import PersonaVectors
    from mindscope.server.config import ServeSpec
    from mindscope.server.service import SteeringService


def open_service(spec: ServeSpec) -> SteeringService:
    """The model, vectors, thresholds and limits of a specification.

    Raises:
        DataError: vectors of another model, two of one name, or thresholds of other vectors.
        StoreError: a file that is absent or damaged.
    """
    from mindscope.monitoring import Policy
    from mindscope.server.config import ServerLimits
    from mindscope.server.engine.registry import VectorRegistry
    from mindscope.server.log.webhook import AlarmWebhook
    from mindscope.server.log.writer import MonitorLog, open_database
    from mindscope.server.service import SteeringService

    webhook = None if spec.webhook is None else AlarmWebhook(spec.webhook)
    if (log := spec.log) is not None:
        open_database(log).dispose()  # before the model is loaded
    model = spec.load()
    vectors, chosen = _load_vectors(spec, model)
    registry = VectorRegistry(
        model,
        vectors,
        chosen=chosen,
        layer=block_of(spec.layer, False),
        dictionaries=_load_dictionaries(spec, model),
        most=spec.max_vectors,
        most_bytes=spec.upload_bytes,
    )
    watched = [direction for name in vectors for direction in registry.find(name)]
    return SteeringService(
        model,
        spec.config(ServerLimits),
        name=spec.served_name,
        registry=registry,
        watched=watched,
        calibration=_load_thresholds(spec, model),
        policy=Policy(spec.policy, spec.coefficient),
        log=None if log is None else MonitorLog(log, retention_days=spec.retention_days),
        log_text=spec.log_text,
        webhook=webhook,
    )


def serve(spec: ServeSpec, say: Callable[[str], object]) -> None:
    """Listen until the process is told to end.

    Args:
        spec: what is served, to whom.
        say: told where the server listens.
    """
    import uvicorn

    from mindscope.server.app import build_app
    from mindscope.server.upstream import UpstreamServer
    from mindscope.server.workbench.routes import WorkbenchPlace

    token = spec.read_token()
    listener = open_listener(spec.host, spec.port)
    service = open_service(spec)
    hosts = [*spec.allow_host, *([] if spec.host in ("0.0.0.0", "::") else [spec.host])]
    upstream = None if spec.upstream is None else UpstreamServer(spec.upstream, spec.read_upstream_key())
    model = spec.model_dump(mode="json", include=set(ModelSpec.model_fields))
    workbench = None if upstream else WorkbenchPlace(spec.runs, model, spec.vectors)
    app = build_app(
        service, token=token, hosts=hosts, origins=spec.allow_origin, upstream=upstream, workbench=workbench
    )
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=30,
        limit_concurrency=_CONNECTIONS,
    )
    host = f"[{spec.host}]" if ":" in spec.host else spec.host
    address = f"http://{host}:{listener.getsockname()[1]}"
    say(f"serving {service.name} on {address}/v1")
    if workbench is not None:
        say(f"the workbench is at {address}/workbench/")
    with listener:
        uvicorn.Server(config).run(sockets=[listener])


def open_listener(host: str, port: int) -> socket.socket:
    """The socket to listen on, taken before anything is loaded.

    Raises:
        DataError: the address is none of this machine's, or the port is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_CONNECTIONS)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"cannot listen on {host}:{port}: {reason}; choose another --port") from error


_CONNECTIONS = 1024
"""Connections at once; more are answered 503 at the door."""


def _load_vectors(spec: ServeSpec, model: Model) -> tuple[dict[str, PersonaVectors], dict[str, int]]:
    vectors: dict[str, PersonaVectors] = {}
    chosen: dict[str, int] = {}
    for path in spec.vectors:
        for one in find_vectors(path, model):
            if one.trait in vectors:
                raise DataError(f"two of the --vectors are called {one.trait!r}: give each once")
            vectors[one.trait] = one
            if (choice := find_choice(path, one)) is not None:
                chosen[one.trait] = choice.layer
    return vectors, chosen


def _load_dictionaries(spec: ServeSpec, model: Model) -> dict[str, Dictionary]:
    from mindscope.dictionaries import Dictionary

    dictionaries: dict[str, Dictionary] = {}
    for text in spec.dictionary:
        name, equals, file = text.partition("=")
        if not equals or not name or not file or "/" in name:
            raise DataError(f"{text!r} is not NAME=FILE: write for example sae=resid_post.8.safetensors")
        dictionaries[name] = Dictionary.load(dictionary_file(file), model)
    return dictionaries


def _load_thresholds(spec: ServeSpec, model: Model) -> Calibration | None:
    from mindscope.monitoring import Calibration

    if spec.thresholds is None:
        return None
    calibration = Calibration.load(spec.thresholds).for_model(model)
    calibration.require_template(model)
    return calibration
