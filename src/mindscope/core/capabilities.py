"""What an engine can do with a model, and what a method asks of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from mindscope.errors import ModelError

Need = Literal["reads", "edits", "controllers", "gradients", "attention_patterns"]
"""`reads`: activations. `edits`: writes in reading and generation, row by row. `controllers`: somebody who
looks on while answers are written, and may change or end them. `gradients`: of and through activations.
`attention_patterns`: what heads look at, and to hold that fixed."""

SPOKEN: dict[Need, str] = {
    "reads": "activations",
    "edits": "edits",
    "controllers": "a controller that looks on while answers are written",
    "gradients": "gradients",
    "attention_patterns": "attention patterns",
}


@dataclass(frozen=True, slots=True)
class EngineCapabilities:
    """What an engine can do.

    Attributes:
        engine: its name, for error messages.
        offers: the needs that it meets.
        hook_points: the kinds of addresses it can read and edit, such as `resid_post`; None for all that the
            architecture has.
    """

    engine: str
    offers: frozenset[Need] = frozenset(get_args(Need))
    hook_points: frozenset[str] | None = None

    def require(self, method: str, *needs: Need, addresses: Sequence[str] = ()) -> None:
        """Refuse before anything is done on an engine that cannot do it.

        Args:
            method: what it is called in the error, such as "an attribution graph".
            needs: what it asks of the engine.
            addresses: where it reads or edits.

        Raises:
            ModelError: the engine lacks something; the line names it.
        """
        lacking = [SPOKEN[need] for need in needs if need not in self.offers]
        if self.hook_points is not None:
            points = dict.fromkeys(address.partition(".")[0] for address in addresses)
            lacking += [point for point in points if point not in self.hook_points]
        if lacking:
            raise ModelError(
                f"{method} needs {', '.join(lacking)}, which the engine '{self.engine}' does not give: "
                "load the model in process"
            )
