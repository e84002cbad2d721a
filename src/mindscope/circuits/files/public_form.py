"""The form of public graph JSON, as far as it is read."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from mindscope.circuits.files.write_json import TYPES
from mindscope.circuits.graph.nodes import Kind

KINDS: dict[str, Kind] = {public: kind for kind, public in TYPES.items()}
"""Our word for what public graph files call a kind of node."""


class NodeRecord(BaseModel):
    """A node of a public file."""

    node_id: str
    layer: str | int
    ctx_idx: int = Field(ge=0)
    feature_type: str
    feature: int | None = None
    token_prob: float | None = None
    clerp: str | None = ""
    influence: float | None = None
    activation: float | None = None

    @property
    def kind(self) -> Kind:
        """Our word for `feature_type`."""
        return KINDS[self.feature_type]

    @property
    def level(self) -> int:
        """The layer as graphs count it: -1 for a token, `n_layers + 1` for a logit."""
        return -1 if self.kind == "token" else int(self.layer)

    @property
    def middle(self) -> int:
        """The second part of LAYER_LATENT_POSITION or E_TOKEN_POSITION."""
        return int(self.node_id.split("_")[1])


class LinkRecord(BaseModel):
    """An edge of a public file, between nodes by their names."""

    source: str
    target: str
    weight: float


class PageState(BaseModel):
    """What a person made of a graph, as pages keep it; the rest is handed through."""

    model_config = ConfigDict(extra="allow")

    pinnedIds: list[str] | None = None  # noqa: N815
    supernodes: list[list[str]] | None = None
    clerps: list[tuple[str, str]] | None = None


class GraphDocument(BaseModel):
    """The public JSON, as far as it is read; what other tools add is ignored."""

    metadata: dict[str, Any]
    qParams: PageState = PageState()  # noqa: N815
    nodes: list[NodeRecord]
    links: list[LinkRecord]
    mindscope: dict[str, Any] = {}
