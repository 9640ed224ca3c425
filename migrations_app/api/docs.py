"""The API's page: the OpenAPI document, put into words. Without scripts, as the content security policy wants it."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from ninja import NinjaAPI
from ninja.openapi.docs import DocsBase


class Plain(DocsBase):
    def render_page(self, request: HttpRequest, api: NinjaAPI, **kwargs: Any) -> HttpResponse:
        document = api.get_openapi_schema()
        return render(
            request, "api/docs.html", {"site_header": api.title, "document": document, "calls": _calls(document)}
        )


def _calls(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Every call in the order of the document: `method, path, text, id, parameters, takes, answers`."""
    found = []
    for path, calls in document["paths"].items():
        for method, call in calls.items():
            body = call.get("requestBody")
            found.append(
                {
                    "method": method.upper(),
                    "path": path,
                    "id": call["operationId"],
                    "text": call.get("description", ""),
                    "parameters": [_parameter(document, p) for p in call["parameters"] if p["in"] == "query"],
                    "takes": _fields(document, body["content"]) if body else [],
                    "answers": [
                        (status, _fields(document, answer["content"]))
                        for status, answer in call["responses"].items()
                        if status.startswith("2")
                    ],
                }
            )
    return found


def _parameter(document: dict[str, Any], parameter: dict[str, Any]) -> tuple[str, str]:
    """Name, and what it may be."""
    schema = parameter["schema"]
    said = schema.get("description") or _type(document, schema).removesuffix(" or null")
    default = f" Default: {schema['default']}." if schema.get("default") else ""
    return parameter["name"], said + default


def _fields(document: dict[str, Any], content: dict[str, Any]) -> list[tuple[str, str, bool]]:
    """Of a body: name, type in words, whether it has to be there."""
    shape = _resolved(document, content["application/json"]["schema"])
    needed = shape.get("required", [])
    return [(name, _type(document, of), name in needed) for name, of in shape["properties"].items()]


def _type(document: dict[str, Any], schema: dict[str, Any]) -> str:
    options = schema.get("anyOf") or schema.get("allOf")
    if options:
        return " or ".join(_type(document, option) for option in options)
    if "$ref" in schema:
        return (
            _type(document, _resolved(document, schema))
            if "enum" in _resolved(document, schema)
            else (f"object ({schema['$ref'].rpartition('/')[2]})")
        )
    if "enum" in schema or "const" in schema:
        return ", ".join(schema.get("enum") or [schema["const"]])
    if schema.get("type") == "array":
        return f"list of {_type(document, schema['items'])}"
    return " ".join(filter(None, (schema.get("type", "anything"), schema.get("format"))))


def _resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """What a reference stands for; a schema that is none itself."""
    if "$ref" not in schema and "allOf" in schema:
        schema = schema["allOf"][0]
    name = schema.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = document["components"]["schemas"][name] if name else schema
    return found
