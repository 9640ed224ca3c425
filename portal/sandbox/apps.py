"""The sandbox as a Django app: it brings commands, and no models."""

from django.apps import AppConfig


class SandboxConfig(AppConfig):
    name = "portal.sandbox"
    label = "sandbox"
