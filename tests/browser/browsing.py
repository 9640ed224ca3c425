"""Chromium, and a page that complains of whatever a page must not do."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
PATIENCE_SECONDS = 20


def executable() -> str | None:
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Playwright's loop runs in this thread, where Django would refuse to ask its database beside one."""
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=executable(), args=[*FLAGS])
            try:
                yield browser
            finally:
                browser.close()
                connections.close_all()  # those that were opened beside the loop belong to it
    finally:
        if before is None:
            del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]
        else:
            os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = before


class Desk:
    """Where people sit down at the portal. `complaints`: every error on a console, violation of the content security
    policy, exception in a script and request to another host, in whatever page."""

    def __init__(self, browser: Browser, url: str) -> None:
        self.url = url
        self.complaints: list[str] = []
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self._expected: list[str] = []

    def sit_down(self, user: User | None, path: str = "/admin/", **options: Any) -> Page:
        """A new browser of that person, logged in, at that address."""
        context = self._browser.new_context(
            **{"base_url": self.url, "viewport": {"width": 1280, "height": 900}, **options}
        )
        context.set_default_timeout(PATIENCE_SECONDS * 1000)
        self._contexts.append(context)
        context.on("request", self._asked)
        context.on("console", self._said)
        context.on("weberror", lambda error: self._complain(f"exception: {error.error}"))
        if user:
            client = Client()
            client.force_login(user)
            name = settings.SESSION_COOKIE_NAME
            context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": self.url}])
        page = context.new_page()
        page.goto(path)
        return page

    def expect(self, *patterns: str) -> None:
        """Complaints that match are none, from here to the end of the test."""
        self._expected += patterns

    def seen(self) -> str:
        """What is on every screen."""
        pages = [page for context in self._contexts for page in context.pages]
        return "\n\n".join(f"{page.url}  {page.title()}\n{page.inner_text('main')}" for page in pages)

    def leave(self) -> None:
        """Everybody closes their browser."""
        for context in self._contexts:
            context.close()
        self._contexts.clear()

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self._complain(f"console {message.type}: {message.text} ({message.location.get('url')})")

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((f"{self.url}/", "data:")):
            self._complain(f"request elsewhere: {request.url}")

    def _complain(self, of: str) -> None:
        if not any(re.search(pattern, of) for pattern in self._expected):
            self.complaints.append(of)
