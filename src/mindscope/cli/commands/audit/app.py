"""`mindscope audit`: tools on tunes whose truth is sealed, and the game of finding it."""

from __future__ import annotations

import typer

from mindscope.auditing.game import list_tools, make_move, play_game, use_tool
from mindscope.cli.commands.audit.tables import print_game, print_own_game, print_report, print_tools
from mindscope.cli.from_spec import add_command

app = typer.Typer(no_args_is_help=True, help="Find what tunes hide, and count how often that is right.")
add_command(app, "play", play_game, show=print_game)
add_command(app, "move", make_move, show=print_own_game)
add_command(app, "use", use_tool, show=print_report)
add_command(app, "tools", list_tools, show=print_tools)
