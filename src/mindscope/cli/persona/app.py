"""`mindscope persona`: a trait of character from its definition to steered answers."""

from __future__ import annotations

import typer

from mindscope.cli.from_spec import add_command
from mindscope.cli.monitoring import print_monitoring
from mindscope.cli.persona import files as persona_files
from mindscope.cli.persona import reproduce as persona_reproduce
from mindscope.cli.persona.tables import (
    print_listing,
    print_screening,
    print_shift,
    print_steering,
    print_sweep,
    print_tuned,
    print_vectors,
)
from mindscope.jobs import finetune, monitor, persona, screen, shift

app = typer.Typer(no_args_is_help=True, help="Extract, choose, steer and show persona vectors.")
add_command(app, "extract", persona.extract, show=print_vectors)
add_command(app, "sweep", persona.sweep, show=print_sweep, require=lambda report: report.sweep.choice())
add_command(app, "steer", persona.steer, show=print_steering)
add_command(app, "monitor", monitor.monitor_vectors, show=print_monitoring)
add_command(app, "screen", screen.screen, show=print_screening)
add_command(app, "finetune", finetune.finetune, show=print_tuned)
add_command(app, "shift", shift.shift, show=print_shift)
add_command(app, "show", persona.show, show=print_listing)
app.command("reproduce")(persona_reproduce.reproduce)
app.command("traits")(persona_files.traits)
app.command("artifacts")(persona_files.artifacts)
app.command("export")(persona_files.export_)
app.command("import")(persona_files.import_)
