"""A chat assistant's side of /mcp: the official client, over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
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
        return self.talk(lambda client: _answer(client, name, arguments))

    def call_until(self, reached: Callable[[dict[str, Any]], bool], name: str, **arguments: Any) -> None:
        """Look again and again, for at most a minute."""

        async def looked(client: Client) -> None:
            async with asyncio.timeout(60):
                while not reached(await _answer(client, name, arguments)):
                    await asyncio.sleep(0.2)

        self.talk(looked)

    def refused(self, name: str, **arguments: Any) -> str:
        """What the model is told."""
        return self.refusals([(name, arguments)])[0]

    def refusals(self, calls: Iterable[tuple[str, dict[str, Any]]]) -> list[str]:
        async def told(client: Client) -> list[str]:
            results = [await client.call_tool(name, arguments) for name, arguments in calls]
            assert all(result.is_error and result.structured_content is None for result in results), results
            return [_text(result) for result in results]

        return self.talk(told)

    def talk(self, conversation: Callable[[Client], Awaitable[T]]) -> T:
        async def connected() -> T:
            headers = {"Authorization": f"Bearer {self.secret}"} if self.secret else {}
            async with (
                httpx2.AsyncClient(headers=headers, timeout=30) as http,
                Client(streamable_http_client(f"{self.url}/mcp", http_client=http), mode=self.mode) as client,
            ):
                return await conversation(client)

        return asyncio.run(connected())


async def _answer(client: Client, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    result = await client.call_tool(name, arguments)
    assert not result.is_error, _text(result)
    assert result.structured_content is not None
    return result.structured_content


def _text(result: CallToolResult) -> str:
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
