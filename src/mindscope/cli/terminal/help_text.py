"""Help that is printed as it is written: its brackets are our syntax, and no style of the text."""

from __future__ import annotations

from copy import copy
from typing import Any

from typer.core import TyperArgument, TyperCommand, TyperOption


class LiteralCommand(TyperCommand):
    """A command in whose help `1.5 kind[all]` keeps its `[all]`, which rich would take for a style."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        from rich.markup import escape

        shown = copy(self)  # whoever reads `help` from the command itself gets it without escapes
        shown.help = self.help and escape(self.help)
        shown.params = [copy(parameter) for parameter in self.params]
        for parameter in shown.params:
            if isinstance(parameter, TyperArgument | TyperOption) and parameter.help:
                parameter.help = escape(parameter.help)
        TyperCommand.format_help(shown, ctx, formatter)
