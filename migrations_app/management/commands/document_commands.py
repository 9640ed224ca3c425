from __future__ import annotations

from typing import Any

from migrations_app.management.base import PortalCommand
from migrations_app.management.documentation import document


class Command(PortalCommand):
    help = "Print docs/cli.md, made from the commands themselves."
    requires_system_checks = []
    is_for_people = False
    examples = (
        ("After a command has changed", "document_commands > docs/cli.md"),
        ("The same, for a program", "document_commands --json"),
    )

    def run(self, **options: Any) -> None:
        page = document()
        self.answer({"markdown": page}, page)
