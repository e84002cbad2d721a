"""`mindscope study`: the results that the field stands on, each one command and one page."""

from __future__ import annotations

import typer

from mindscope.cli.commands.study.tables import print_induction, print_study
from mindscope.cli.from_spec import add_command
from mindscope.studies.classifiers import study_classifiers
from mindscope.studies.crosscoders import study_crosscoders
from mindscope.studies.dictionary_metrics import study_dictionaries
from mindscope.studies.double_descent import study_double_descent
from mindscope.studies.induction import study_induction
from mindscope.studies.monosemanticity import study_monosemanticity
from mindscope.studies.persona_space import study_persona_space
from mindscope.studies.scaling import study_scaling
from mindscope.studies.shared_space import study_shared_space
from mindscope.studies.solu import study_solu
from mindscope.studies.superposition import study_superposition

app = typer.Typer(
    no_args_is_help=True, help="Published results, rerun: claims with their verdicts, and a page."
)
add_command(app, "superposition", study_superposition, show=print_study)
add_command(app, "double-descent", study_double_descent, show=print_study)
add_command(app, "induction", study_induction, show=print_induction)
add_command(app, "persona-space", study_persona_space, show=print_study)
add_command(app, "shared-space", study_shared_space, show=print_study)
add_command(app, "classifiers", study_classifiers, show=print_study)
add_command(app, "solu", study_solu, show=print_study)
add_command(app, "monosemanticity", study_monosemanticity, show=print_study)
add_command(app, "crosscoders", study_crosscoders, show=print_study)
add_command(app, "scaling", study_scaling, show=print_study)
add_command(app, "dictionaries", study_dictionaries, show=print_study)
