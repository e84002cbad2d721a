"""Examining a server, as a job."""

from __future__ import annotations

import os

from mindscope.errors import DataError
from mindscope.jobs import Reporter
from mindscope.server.conform.results import ConformReport, ConformSpec


def conform(spec: ConformSpec, *, reporter: Reporter) -> ConformReport:
    """Examine whether a steering server does what it says.

    Known vectors are sent, and the log-probabilities that come back are held against a reference pass of the
    same model here. Any kind of mistake would show: another layer or other tokens, neighbours that are
    steered too, a prompt out of a cache of another steering, a stream that loses tokens.
    """
    from mindscope.server.conform.clients import SteeringClient
    from mindscope.server.conform.reference import ReferenceModel
    from mindscope.server.conform.suite import ConformSuite

    token = None
    if spec.token_env is not None and not (token := os.environ.get(spec.token_env)):
        raise DataError(f"${spec.token_env} holds no token")
    client = SteeringClient(spec.url, spec.dialect, spec.served_name or spec.model, token)
    model = spec.load()
    layer = model.n_layers // 2 if spec.layer is None else spec.layer
    if layer >= model.n_layers:
        raise DataError(f"there is no layer {layer}: the model has 0 to {model.n_layers - 1}")
    reference = ReferenceModel(model, spec.max_tokens)
    suite = ConformSuite(client, reference, layer, spec.max_tokens, spec.seed, spec.tolerance)
    try:
        suite.run(reporter.progress)
        costs = suite.measure(spec.requests)
    finally:
        client.close()
    assert suite.tolerance is not None
    return ConformReport(
        url=spec.url,
        dialect=spec.dialect,
        model=spec.model,
        fingerprint=model.fingerprint,
        layer=layer,
        coefficient=suite.coefficient,
        tolerance=suite.tolerance,
        checks=tuple(suite.checks),
        costs=costs,
    )
