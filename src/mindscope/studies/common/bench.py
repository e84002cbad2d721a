"""What a study of trained toys is run on: pieces measured once, how far it is, and how long each took."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from mindscope.jobs import Reporter
from mindscope.jobs.estimates import PacedProgress
from mindscope.reports import Report
from mindscope.store import Document, Run, measure_once
from mindscope.studies.common.claims import Claim
from mindscope.studies.common.study import StudyReport, StudySpec

PARTS = 1000
"""Into so many parts progress is told; pieces of unlike cost then share one bar and one estimate."""
FIRST = 20
"""After so many parts the time of the whole is said."""

Piece = TypeVar("Piece", bound=Document)
Key = TypeVar("Key")
PieceProgress = Callable[[int, int], None]
"""Called with (done, total) of a piece."""


class PieceBench:
    """Measures the pieces of a study, each once.

    The times stand in the run's metrics and not in the pieces, which are the same bytes however often a run
    was interrupted.
    """

    def __init__(self, run: Run, reporter: Reporter, label: str, costs: Mapping[str, float]) -> None:
        """Begin.

        Args:
            run: where pieces are kept.
            reporter: is told how far it is.
            label: what is being done.
            costs: every piece by name, with its share of the time in any unit.
        """
        self._run, self._label, self._costs = run, label, costs
        self._progress = PacedProgress(reporter, label, "parts", after=FIRST)
        self._done = 0.0

    def measure(self, name: str, kind: type[Piece], work: Callable[[PieceProgress], Piece]) -> Piece:
        """A piece out of its file, or measured and kept.

        Args:
            name: one of the names in the costs.
            kind: what it is.
            work: measures it, and tells how far it is.
        """
        cost = self._costs[name]
        start = time.perf_counter()

        def measured() -> Piece:
            result = work(lambda done, total: self._tell(self._done + cost * done / total))
            # Before the piece is kept: killed in between, it is measured and logged again, and not left out.
            self._run.log(piece=name, seconds=round(time.perf_counter() - start, 3))
            return result

        piece = measure_once(self._run, f"{name}.json", kind, measured)
        self._done += cost
        self._tell(self._done)
        return piece

    def measure_each(
        self, part: str, keys: Iterable[Key], kind: type[Piece], work: Callable[[Key, PieceProgress], Piece]
    ) -> tuple[Piece, ...]:
        """A piece for each key, `PART/KEY`, such as each draw."""
        return tuple(self.measure(f"{part}/{key}", kind, partial(work, key)) for key in keys)

    def conclude(self, spec: StudySpec, claims: Sequence[Claim], page: Report) -> StudyReport:
        """Write the page, and end the run; the claims are then in its summary."""
        path = page.write(self._run.path / "report.html")
        self._run.finish(report=str(path), claims=[claim.to_json() for claim in claims])
        return StudyReport(
            study=spec.name,
            preset=spec.preset,
            report=str(path),
            seconds=sum(self.seconds().values()),
            claims=tuple(claims),
        )

    def seconds(self) -> dict[str, float]:
        """How long each piece took; one that was measured in an earlier start included."""
        return {line["piece"]: line["seconds"] for line in self._run.metrics() if "piece" in line}

    def _tell(self, done: float) -> None:
        part = round(PARTS * done / sum(self._costs.values()))
        self._progress(min(part, PARTS), PARTS, self._label)
