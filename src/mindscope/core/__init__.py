"""What every floor needs and none owns: progress, digests, identities of models, lazy faces."""

from typing import TYPE_CHECKING

from mindscope.core.faces import lazy_face

if TYPE_CHECKING:
    from mindscope.core.cache import CACHE_VARIABLE, cache_folder
    from mindscope.core.capabilities import EngineCapabilities, Need
    from mindscope.core.digest import digest_json, digest_text, hash_source
    from mindscope.core.http_address import parse_http_address
    from mindscope.core.identity import (
        BorrowedArtifact,
        ModelIdentity,
        NamedModel,
        Relation,
        describe_relation,
        find_relation,
        require_same_model,
        take_borrowed,
    )
    from mindscope.core.json_text import (
        DEEPEST_JSON,
        parse_exact_json,
        parse_json,
        require_single_keys,
        split_json_lines,
    )
    from mindscope.core.name_order import order_names
    from mindscope.core.problems import split_problem
    from mindscope.core.progress import (
        Clock,
        ForecastListener,
        LabelledProgress,
        Progress,
        RemainingTime,
        format_duration,
        with_label,
    )
    from mindscope.core.secret_names import SECRET_NAME
    from mindscope.core.settings import FrozenSettings, Index, Percent, Seed

__all__ = [
    "split_problem",
    "FrozenSettings",
    "Index",
    "Percent",
    "Seed",
    "CACHE_VARIABLE",
    "cache_folder",
    "BorrowedArtifact",
    "Clock",
    "ForecastListener",
    "LabelledProgress",
    "ModelIdentity",
    "describe_relation",
    "take_borrowed",
    "find_relation",
    "EngineCapabilities",
    "Need",
    "NamedModel",
    "Progress",
    "RemainingTime",
    "SECRET_NAME",
    "Relation",
    "digest_json",
    "digest_text",
    "hash_source",
    "format_duration",
    "lazy_face",
    "order_names",
    "DEEPEST_JSON",
    "parse_exact_json",
    "parse_http_address",
    "parse_json",
    "require_single_keys",
    "require_same_model",
    "split_json_lines",
    "with_label",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)
