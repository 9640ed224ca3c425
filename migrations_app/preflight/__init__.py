"""Read-only checks before a move: what would make it fail, found before anything is changed."""

from migrations_app.preflight.checks import Finding, preflight

__all__ = ["Finding", "preflight"]
