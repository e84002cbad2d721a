"""`mindscope persona`: a trait of character from its definition to steered answers."""

from __future__ import annotations

import typer

from mindscope.cli.commands.monitoring import print_monitoring
from mindscope.cli.commands.persona.tables import (
    print_baked,
    print_file,
    print_listing,
    print_reproduction,
    print_screening,
    print_shift,
    print_steering,
    print_sweep,
    print_traits,
    print_tuned,
    print_vectors,
)
from mindscope.cli.from_spec import add_command
from mindscope.jobs import finetune, monitor, persona, screen, shift
from mindscope.studies.persona_vectors import reproduce_claims

app = typer.Typer(no_args_is_help=True, help="Extract, choose, steer and show persona vectors.")
add_command(app, "extract", persona.extract, show=print_vectors)
add_command(app, "sweep", persona.sweep, show=print_sweep, require=lambda report: report.sweep.choice())
add_command(app, "steer", persona.steer, show=print_steering)
add_command(app, "bake", persona.bake, show=print_baked, require=persona.require_checkpoint)
add_command(app, "monitor", monitor.monitor_vectors, show=print_monitoring)
add_command(app, "screen", screen.screen, show=print_screening)
add_command(app, "finetune", finetune.finetune, show=print_tuned)
add_command(app, "shift", shift.shift, show=print_shift)
add_command(app, "show", persona.show, show=print_listing)
add_command(app, "reproduce", reproduce_claims, show=print_reproduction)
add_command(app, "traits", persona.show_traits, show=print_traits)
add_command(app, "artifacts", persona.write_trait, show=print_file)
add_command(app, "export", persona.export_vectors, show=print_file)
add_command(app, "import", persona.import_vectors, show=print_file)
