"""The API as a whole: its calls, and the document that describes them."""

from __future__ import annotations

from typing import Any

from django.db import InterfaceError, OperationalError
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError

from migrations_app.api import answers, moves, places, replicas, trail, verbs
from migrations_app.api.docs import Plain
from migrations_app.api.gate import Bearer, gate
from migrations_app.api.idempotency import HEADER
from migrations_app.api.shapes import Error
from migrations_app.errors import PortalError

_ERRORS = {
    "400": "What was given cannot be meant, e.g. `invalid_region`.",
    "401": "The request carries no token that is good.",
    "403": "The token's scopes, or its user's roles, do not allow it.",
    "404": "There is no such thing, or not one that the caller sees.",
    "405": "The call does not take that method.",
    "409": "A rule forbids it now: `ineligible`, with all `blockers`.",
    "413": "The body is larger than 1 MB.",
    "415": "The body is not said to be JSON.",
    "422": "A field or parameter is unknown, or of the wrong type; it is named.",
    "429": "The token has used its minute up; `Retry-After` says when to go on.",
    "503": "The portal's database, or a region, does not answer; `Retry-After` says when to try again.",
}
_KEY = {
    "name": HEADER,
    "in": "header",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[ -~]+$"},
    "description": "The same request with the same key is done once, and answered the same for 24 hours.",
}
_TAG = {
    "name": "If-None-Match",
    "in": "header",
    "schema": {"type": "string"},
    "description": "An `ETag`: what has not changed since is answered with 304.",
}


class Api(NinjaAPI):
    def get_openapi_schema(self, **kwargs: Any) -> Any:
        """With what holds for every call: errors, the key of idempotency, the tag of what is known."""
        document = super().get_openapi_schema(**kwargs)
        document["components"]["schemas"]["Error"] = Error.model_json_schema(
            ref_template="#/components/schemas/{model}"
        )
        document["components"]["schemas"] |= document["components"]["schemas"]["Error"].pop("$defs")
        content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
        for calls in document["paths"].values():
            for method, call in calls.items():
                said = {str(status): answer for status, answer in call["responses"].items()}
                errors = {status: {"description": text, "content": content} for status, text in _ERRORS.items()}
                if method == "get":
                    said["304"] = {"description": "It is as it was."}
                call["responses"] = dict(sorted({**said, **errors}.items()))
                call["parameters"] = [*call["parameters"], _TAG if method == "get" else _KEY]
        return document

    def get_openapi_operation_id(self, operation: Any) -> str:
        return str(operation.view_func.__name__)


api = Api(
    title="Region moves",
    version="1",
    description="Moves apps between regions. Tokens are made in the console, under Tokens.",
    auth=Bearer(),
    docs=Plain(),
    urls_namespace="v1",
)
api.add_decorator(gate, mode="view")
for part in (places, moves, verbs, replicas, trail):
    api.add_router("", part.router)

_EXPLAINED: dict[type[Exception], Any] = {
    PortalError: answers.of_portal,
    OperationalError: answers.of_database,
    InterfaceError: answers.of_database,
    HttpError: answers.of_http,
    ValidationError: answers.of_fields,
}
for kind, answer in _EXPLAINED.items():
    api.add_exception_handler(kind, answer)
