"""The first hour with a model: traits, sizes and a judge by the machine, and why; then the demo with them."""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.jobs.quickstart.results import QuickstartChoice, QuickstartReport
    from mindscope.jobs.quickstart.run_quickstart import quickstart
    from mindscope.jobs.quickstart.spec import QuickstartSpec


__all__ = ["quickstart", "QuickstartSpec", "QuickstartReport", "QuickstartChoice"]

__getattr__, __dir__ = lazy_face(__name__, __file__)
