"""A chat assistant's side of /mcp: the official client, over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import httpx2
from django.contrib.auth.models import User
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, TextContent, Tool

from migrations_app import tokens
from migrations_app.states import Scope

T = TypeVar("T")


@dataclass(frozen=True)
class Assistant:
    """Speaks to the portal at `url` with a token; `mode` is Client's: auto, legacy or a version of the protocol."""

    url: str
    secret: str
    mode: str = "auto"

    def tools(self) -> dict[str, Tool]:
        async def listed(client: Client) -> dict[str, Tool]:
            return {tool.name: tool for tool in (await client.list_tools()).tools}

        return self.talk(listed)

    def call(self, name: str, **arguments: Any) -> dict[str, Any]:
        """The answer, which the client has held against the tool's schema."""
        result = self._call(name, arguments)
        assert not result.is_error, _text(result)
        assert result.structured_content is not None
        return result.structured_content

    def refused(self, name: str, **arguments: Any) -> str:
        """What the model is told."""
        result = self._call(name, arguments)
        assert result.is_error, result.structured_content
        return _text(result)

    def talk(self, conversation: Callable[[Client], Awaitable[T]]) -> T:
        async def connected() -> T:
            headers = {"Authorization": f"Bearer {self.secret}"} if self.secret else {}
            async with (
                httpx2.AsyncClient(headers=headers, timeout=30) as http,
                Client(streamable_http_client(f"{self.url}/mcp", http_client=http), mode=self.mode) as client,
            ):
                return await conversation(client)

        return asyncio.run(connected())

    def _call(self, name: str, arguments: dict[str, Any]) -> CallToolResult:
        return self.talk(lambda client: client.call_tool(name, arguments))


def _text(result: CallToolResult) -> str:
    assert result.structured_content is None or not result.is_error
    return "\n".join(block.text for block in result.content if isinstance(block, TextContent))


def token_of(user: User, *scopes: str, name: str = "assistant") -> str:
    """The secret of a new token of the user; without scopes it has all of them."""
    return tokens.make(
        user=user,
        name=name,
        scopes=scopes or list(Scope),
        expires_at=datetime.now(UTC) + timedelta(days=1),
        acting_user=user,
    )[1]
