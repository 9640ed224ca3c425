"""The admin site under the product's own name, with the console's pages on it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.apps import AdminConfig
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver


class PortalAdminSite(admin.AdminSite):
    site_header = "Region moves"
    site_title = "Region moves"
    index_title = "Overview"
    site_url = None
    empty_value_display = "–"
    enable_nav_sidebar = False  # the places stand in the head of every page

    def get_urls(self) -> list[URLPattern | URLResolver]:
        from migrations_app.dashboard import urls  # needs the models: Django imports this module before them

        return [*urls.pages(self), *super().get_urls()]

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        from migrations_app.dashboard.places import may_ask, navigation

        return {**super().each_context(request), **navigation(request), "may_ask": may_ask(request)}

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """Of one app, for Django's page of it. The list of all is on no page; making it took a tenth of each."""
        return super().get_app_list(request, app_label) if app_label else []

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        from migrations_app.dashboard import overview

        return overview.page(request, self)


class PortalAdminConfig(AdminConfig):
    default_site = "portal.admin.PortalAdminSite"
