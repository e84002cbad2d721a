"""`mindscope feature`: when features are active, what they mean, and what they do."""

from __future__ import annotations

import typer

from mindscope.cli.commands.feature.tables import (
    print_classification,
    print_concepts,
    print_feature,
    print_labels,
    print_map,
    print_matches,
    print_survey,
)
from mindscope.cli.commands.monitoring import print_monitoring
from mindscope.cli.from_spec import add_command
from mindscope.jobs import feature

app = typer.Typer(no_args_is_help=True, help="When features are active, what they mean and what they do.")
add_command(app, "survey", feature.survey, show=print_survey)
add_command(app, "show", feature.show, show=print_feature)
add_command(app, "search", feature.search, show=print_matches)
add_command(app, "map", feature.map_features, show=print_map)
add_command(app, "label", feature.label, show=print_labels)
add_command(app, "classify", feature.classify, show=print_classification)
add_command(app, "alarm", feature.alarm, show=print_monitoring)
add_command(app, "concepts", feature.find_concepts, show=print_concepts)
