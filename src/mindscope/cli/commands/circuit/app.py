"""`mindscope circuit`: why a model says what it says, as a graph that can be checked."""

from __future__ import annotations

import typer

from mindscope.cli.commands.circuit.cases import print_cases
from mindscope.cli.commands.circuit.known import print_known_circuits
from mindscope.cli.commands.circuit.tables import (
    print_comparison,
    print_export,
    print_graph,
    print_heads,
    print_intervention,
    print_pruned,
    print_trace,
    print_validation,
)
from mindscope.cli.from_spec import add_command
from mindscope.jobs import circuit
from mindscope.studies.known_circuits import find_known_circuits
from mindscope.studies.llm_biology import work_through

app = typer.Typer(
    no_args_is_help=True, help="Attribution graphs: trace, look, change, check, compare, export."
)
add_command(app, "trace", circuit.trace, show=print_trace)
add_command(app, "show", circuit.show, show=print_graph)
add_command(app, "prune", circuit.prune, show=print_pruned)
add_command(app, "compare", circuit.compare, show=print_comparison)
add_command(app, "intervene", circuit.intervene, show=print_intervention)
add_command(app, "validate", circuit.validate, show=print_validation)
add_command(app, "heads", circuit.show_heads, show=print_heads)
add_command(app, "export", circuit.export, show=print_export)
add_command(app, "cases", work_through, show=print_cases)
add_command(app, "known", find_known_circuits, show=print_known_circuits)
