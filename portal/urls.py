from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.templatetags.static import static
from django.urls import path
from django.views.generic import RedirectView

from migrations_app.api.site import api
from migrations_app.mcp.tools import server as mcp


def healthz(request: HttpRequest) -> HttpResponse:
    """The web process answers; it says nothing about the regions."""
    return HttpResponse("ok\n", content_type="text/plain")


def favicon(request: HttpRequest) -> HttpResponse:
    """What a browser asks for by itself where no page names its icon."""
    return redirect(static("portal/icons/quiet.svg"))


urlpatterns = [
    path("favicon.ico", favicon),
    path("healthz", healthz),
    path("admin/", admin.site.urls),
    path("v1/", api.urls),
    path("mcp", mcp),
    path("", RedirectView.as_view(pattern_name="admin:index")),
]
