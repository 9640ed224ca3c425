"""Addresses of static files, made once: a page names ten of them."""

from __future__ import annotations

from functools import cache

from django.contrib.staticfiles.storage import StaticFilesStorage


class RememberedAddresses(StaticFilesStorage):
    url = cache(StaticFilesStorage.url)
