"""Errors in OpenAI's shape: what every route answers where it cannot do what it was asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, Field

ErrorKind = Literal[
    "invalid_request_error", "authentication_error", "permission_error", "not_found_error", "server_error"
]


class ErrorBody(BaseModel):
    """What is wrong, and with which field."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorReply(BaseModel):
    """The body of every refusal."""

    error: ErrorBody = Field(description="What is wrong, and what to do.")


class ApiError(Exception):
    """A refusal with its status.

    Attributes:
        status: the HTTP status.
        message: one line that says what is wrong and what to do.
        param: the field that is wrong.
        code: a word for programs.
        headers: further headers of the reply.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ):
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code
        self.headers = dict(headers or {})

    @property
    def kind(self) -> ErrorKind:
        """OpenAI's word for what kind of error it is."""
        match self.status:
            case 401:
                return "authentication_error"
            case 403 | 421:
                return "permission_error"
            case 404:
                return "not_found_error"
            case status if status >= 500:
                return "server_error"
        return "invalid_request_error"

    def body(self) -> dict[str, Any]:
        """The JSON of the reply."""
        error = ErrorBody(message=self.message, type=self.kind, param=self.param, code=self.code)
        return {"error": error.model_dump()}


def queue_full(seconds: float) -> ApiError:
    """503 of a server that has no room now."""
    return ApiError(
        503,
        "all slots and the queue are taken: try again later",
        code="queue_full",
        headers={"Retry-After": str(max(1, round(seconds)))},
    )


RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorReply, "description": description}
    for status, description in {
        400: "The request cannot be answered as it stands.",
        401: "The token is missing or wrong.",
        403: "The origin, or what is asked for, is not allowed here.",
        404: "There is no such model, vector or route.",
        408: "The body did not come.",
        413: "The body is longer than this server takes.",
        421: "The host is not one that this server answers to.",
        503: "There is no room now: try again after the time in Retry-After.",
    }.items()
}
"""What every route may answer besides what it is for."""
