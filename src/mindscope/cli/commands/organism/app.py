"""`mindscope organism`: train the bundled model, measure it, talk to it."""

from __future__ import annotations

import typer

from mindscope.auditing.organisms import tune_organisms
from mindscope.cli.commands.chat import converse
from mindscope.cli.commands.organism.tables import (
    print_card,
    print_mechanisms,
    print_shipped_dictionaries,
    print_trained,
    print_training_sets,
    print_tuned_set,
)
from mindscope.cli.from_spec import add_command, add_spec_command
from mindscope.jobs import organism
from mindscope.studies.organism_dictionaries import build_shipped

app = typer.Typer(no_args_is_help=True, help="Train, measure and talk to the bundled model.")
add_command(app, "train", organism.train, show=print_trained)
add_command(app, "card", organism.measure, show=print_card)
add_command(app, "mechanisms", organism.measure_mechanisms, show=print_mechanisms)
add_command(app, "datasets", organism.write_training_sets, show=print_training_sets)
add_command(app, "tune", tune_organisms, show=print_tuned_set)
add_command(app, "dictionaries", build_shipped, show=print_shipped_dictionaries)
add_spec_command(
    app, "chat", organism.OrganismChatSpec, converse, about="Talk to the organism, as `mindscope chat` does."
)
