"""`mindscope dictionary`: train sparse dictionaries on what a model computes, and look at them."""

from __future__ import annotations

import typer

from mindscope.cli.commands.dictionary.tables import (
    print_dictionary,
    print_evaluation,
    print_recording,
    print_training,
)
from mindscope.cli.from_spec import add_command
from mindscope.jobs import dictionary

app = typer.Typer(no_args_is_help=True, help="Train sparse dictionaries (SAE, transcoder, CLT, crosscoder).")
add_command(app, "train", dictionary.train, show=print_training)
add_command(app, "evaluate", dictionary.evaluate, show=print_evaluation)
add_command(app, "show", dictionary.show, show=print_dictionary)
add_command(app, "record", dictionary.record, show=print_recording)
add_command(app, "import", dictionary.import_dictionary, show=print_dictionary)
add_command(app, "export", dictionary.export_dictionary, show=print_dictionary)
