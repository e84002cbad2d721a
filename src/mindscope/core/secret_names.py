"""How fields are called that hold what nobody else may know."""

import re

SECRET_NAME = re.compile(r"(^|[_-])(key|apikey|token|secret|password|authorization|signature|sig)$", re.I)
"""Matched anywhere in a name: `api_key`, `X-Amz-Signature`. What has such a name is refused before a run's
record keeps it."""
