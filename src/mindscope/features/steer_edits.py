"""Edits of a steering expression: its names become directions, its terms the edits that a model knows."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from mindscope.errors import DataError, MindscopeError
from mindscope.features.direction import Direction
from mindscope.features.steer_expression import SteerExpression, SteerLayers, SteerTerm, error_at
from mindscope.models import Edit, Positions

DirectionFinder = Callable[[str, SteerLayers], Sequence[Direction]]
"""The directions that a name means at some layers, in their order; None leaves the layers to it."""


def compile_steering(
    expression: SteerExpression, find: DirectionFinder, where: Positions = "response"
) -> tuple[Edit, ...]:
    """The edits of a row that an expression asks for, in the order of its terms and of their layers.

    A term at several layers edits behind each of them with that layer's own direction and the whole number:
    v_l is added at every layer l, as control vectors are. `increment` adds v_l - v_k instead, k being the
    layer named before l, so that the stream has moved by v of the last layer in the end; without layers it
    means all of them. Terms that add nothing, with the number 0, are left out.

    Args:
        expression: what to steer.
        find: gives the directions of a name.
        where: the tokens that are edited where a term names none; `response` are those from which an answer
            is predicted.

    Raises:
        DataError: what `find` refuses, with the column where the name stands.
    """
    edits: list[Edit] = []
    for term in expression.terms:
        layers = "all" if term.operation == "increment" and term.layers is None else term.layers
        try:
            edits += term_edits(term, find(term.name, layers), where)
        except MindscopeError as error:
            if term.column is None or expression.text is None:
                raise
            raise error_at(expression.text, term.column, str(error)) from error
    return tuple(edits)


def term_edits(term: SteerTerm, directions: Sequence[Direction], where: Positions = "response") -> list[Edit]:
    """The edits of one term, whose directions are given.

    Raises:
        DataError: increments of directions that do not stand at one place after the other.
    """
    if term.operation != "increment":
        edits = [direction.edit(term.coefficient, term.where or where) for direction in directions]
        if term.operation == "add":
            return [edit for edit in edits if edit.value]
        return [replace(edit, op=term.operation) for edit in edits]
    if len({direction.address for direction in directions}) < len(directions):
        raise DataError(f"increments of {term.name} need one direction a layer")
    moved = [
        (direction, direction.vector - before.vector if before is not None else direction.vector)
        for before, direction in zip((None, *directions), directions, strict=False)
    ]
    return [
        Edit(direction.address, "add", vector, term.coefficient, term.where or where)
        for direction, vector in moved
        if term.coefficient and vector.any()
    ]
