"""How a server is started, and what it lets one request ask for; needs no torch."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mindscope.errors import DataError
from mindscope.jobs import BorrowingModelSpec
from mindscope.monitoring import AlarmAction


class ServerLimits(BaseModel):
    """What one server holds at once, and what one request may ask for."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    slots: int = Field(default=16, ge=1)
    """Answers that are written side by side."""
    queue: int = Field(default=64, ge=0)
    """Answers that may wait for a slot; more are refused with 503."""
    prefill_tokens: int = Field(default=256, ge=1)
    """Prompt tokens that pass through the model between two steps of the answers."""
    max_tokens: int = Field(default=1024, ge=1)
    """The most tokens that one answer may have, and what it has where a request does not say."""
    max_choices: int = Field(default=16, ge=1)
    """The most answers that one request may ask for (n)."""
    body_bytes: int = Field(default=2**20, ge=1024)
    """The longest body of a request, in bytes."""
    upload_bytes: int = Field(default=2**26, ge=1024)
    """How large uploaded vectors may be, one file and all together, in bytes."""
    max_vectors: int = Field(default=256, ge=0)
    """The most vectors that may be uploaded; 0 takes none."""
    max_steers: int = Field(default=64, ge=1)
    """The most edits that one request may ask for, over all its terms and layers."""
    prefix_tokens: int = Field(default=4096, ge=0)
    """Prompt tokens whose keys and values are kept for prompts that begin alike; 0 keeps none."""


class ServeSpec(BorrowingModelSpec, ServerLimits):
    """What is served, to whom, and what is watched meanwhile."""

    arguments: ClassVar[tuple[str, ...]] = ("model",)
    options: ClassVar = {"coefficient": ("--coefficient", "-c"), "layer": ("--layer",)}

    host: str = "127.0.0.1"
    """The address to listen on; any other than this machine's own needs a token."""
    port: int = Field(default=8000, ge=0, le=65535)
    """The port to listen on; 0 takes a free one."""
    token_env: str | None = Field(default=None, json_schema_extra={"metavar": "NAME"})
    """The environment variable that holds the token which clients must send (as an OpenAI key)."""
    allow_host: tuple[str, ...] = ()
    """A name under which the server may be asked for, besides this machine's own. May be repeated."""
    allow_origin: tuple[str, ...] = ()
    """A web page's origin that may ask, such as http://localhost:5173. May be repeated."""
    served_name: str | None = None
    """What the model is called in requests; by default as it was loaded."""
    vectors: tuple[Path, ...] = ()
    """Persona vectors to steer with and to watch: a file or a run. May be repeated."""
    dictionary: tuple[str, ...] = ()
    """A dictionary whose latents may be steered with and watched, as NAME=FILE; steer with NAME/LATENT. May
    be repeated."""
    layer: int | None = None
    """Where vectors are added and read of which a request does not say it; by default the choice of each
    run's sweep, or 0.55 of the depth."""
    thresholds: Path | None = None
    """Thresholds that `mindscope persona monitor --calibrate` made for these vectors; every answer is then
    held against them."""
    policy: AlarmAction = "log"
    """What an alarm does where a request does not say."""
    coefficient: float = Field(default=1.0, gt=0)
    """How hard the policy `steer` pushes against a vector: h - c * v."""

    runs: Path | None = None
    """A folder of runs that the workbench shows, and in which it keeps what is started there."""

    log: str | None = Field(default=None, json_schema_extra={"metavar": "DATABASE"})
    """A database that keeps conversations, turns, readings and events: a file of SQLite, an SQLAlchemy URL,
    or env:NAME for a variable that holds one."""
    log_text: bool = False
    """Keep the texts of prompts and answers in the log too, not only what was read of them."""
    retention_days: float | None = Field(default=None, gt=0)
    """Days after which turns are deleted from the log; by default never."""
    webhook: str | None = Field(default=None, json_schema_extra={"metavar": "URL"})
    """An address that is sent every crossing and recovery as JSON."""

    upstream: str | None = Field(default=None, json_schema_extra={"metavar": "URL"})
    """Forward conversations to this OpenAI-compatible server, such as http://127.0.0.1:9000/v1, and watch
    what it answers with the model here; nothing is steered."""
    upstream_key_env: str | None = Field(default=None, json_schema_extra={"metavar": "NAME"})
    """The environment variable that holds the key of --upstream; clients' own tokens are not passed on."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.policy != "log" and self.thresholds is None:
            raise ValueError(f"--policy {self.policy} needs --thresholds")
        if self.upstream is not None and (not self.vectors or self.policy == "steer"):
            raise ValueError(
                "--upstream needs --vectors to watch, and cannot steer what another server writes"
            )
        if self.upstream is None and self.upstream_key_env is not None:
            raise ValueError("--upstream-key-env is about an --upstream")
        if self.log is None and (self.log_text or self.retention_days is not None):
            raise ValueError("--log-text and --retention-days are about a --log")
        if self.thresholds is not None and not self.vectors:
            raise ValueError("--thresholds need the --vectors that they were made for")
        if not is_loopback(self.host) and self.token_env is None:
            raise ValueError(
                f"{self.host} can be reached from elsewhere: name the variable that holds a token "
                "with --token-env"
            )
        return self

    def read_token(self) -> str | None:
        """The token of the environment.

        Raises:
            DataError: the variable is empty or not ASCII.
        """
        if self.token_env is None:
            return None
        token = os.environ.get(self.token_env, "")
        if not token or not token.isascii() or any(c.isspace() for c in token):
            raise DataError(f"${self.token_env} holds no token: set it to a long random ASCII text")
        return token

    def read_upstream_key(self) -> str | None:
        """The key of the server behind this one.

        Raises:
            DataError: the variable is empty.
        """
        if self.upstream_key_env is None:
            return None
        key = os.environ.get(self.upstream_key_env, "")
        if not key or not key.isascii():
            raise DataError(f"${self.upstream_key_env} holds no key for --upstream")
        return key


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is this machine's alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
