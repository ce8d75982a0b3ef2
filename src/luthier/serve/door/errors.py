"""What goes wrong in a request, with its HTTP status and OpenAI's type of it."""

from __future__ import annotations

from luthier.core.records import JsonObject


class RequestError(Exception):
    """An error that the client is told. `param` is the field it lies in; `retry_after` are seconds after which asking again may help."""

    def __init__(self, status: int, message: str, kind: str, param: str | None = None, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.kind, self.param, self.retry_after = status, message, kind, param, retry_after

    def to_json(self) -> JsonObject:
        """The body in OpenAI's form."""
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": None}}


def wrong(message: str, param: str | None = None) -> RequestError:
    """422: the body cannot be answered as it is."""
    return RequestError(422, message, "invalid_request_error", param)


def unknown(message: str, param: str | None = None) -> RequestError:
    """404: what is named is not there."""
    return RequestError(404, message, "not_found_error", param)


def busy(message: str, retry_after: int = 1) -> RequestError:
    """503: not now."""
    return RequestError(503, message, "overloaded_error", retry_after=retry_after)
