"""The admin site under the product's own name."""

from django.contrib import admin
from django.contrib.admin.apps import AdminConfig


class PortalAdminSite(admin.AdminSite):
    site_header = "Region moves"
    site_title = "Region moves"
    index_title = "Overview"
    site_url = None
    empty_value_display = "–"


class PortalAdminConfig(AdminConfig):
    default_site = "portal.admin.PortalAdminSite"
