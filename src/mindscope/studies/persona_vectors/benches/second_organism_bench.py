"""The second organism as a bench.

Traits, judge, graded prompts and the three traits' sets are the first organism's, since both worlds speak in
the same voices. Sums and diagnoses, right and wrong, what ordinary chats are about, what is known and the
dictionaries are the second world's.
"""

from mindscope.jobs import SECOND_ORGANISM
from mindscope.organism import WorldName
from mindscope.studies.persona_vectors.benches.organism_bench import OrganismBench


class SecondOrganismBench(OrganismBench):
    """See :class:`mindscope.studies.persona_vectors.benches.bench.StudyBench`."""

    base = SECOND_ORGANISM
    world: WorldName = "second"
