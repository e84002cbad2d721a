"""What pydantic finds wrong, in words of ours."""

from pydantic import ValidationError


def split_problem(error: ValidationError) -> tuple[str, str]:
    """Where the first thing is wrong, empty for the whole, and what is wrong with it."""
    first = error.errors()[0]
    return ".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")
