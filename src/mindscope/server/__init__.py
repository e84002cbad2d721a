"""A server that answers, steers and watches at once, and says what it really did.

`build_app` makes an application of a `SteeringService`: OpenAI-compatible routes over one running batch, in
which every request has its own sampling, steering and monitor. `conform` asks any steering server whether it
does what it says.
"""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.server.app import build_app
    from mindscope.server.config import ServerLimits, ServeSpec
    from mindscope.server.log.export import LogExport, export_log
    from mindscope.server.run import serve
    from mindscope.server.service import SteeringService


__all__ = [
    "ServeSpec",
    "ServerLimits",
    "SteeringService",
    "LogExport",
    "export_log",
    "build_app",
    "serve",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)
