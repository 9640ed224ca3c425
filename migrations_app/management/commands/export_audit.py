from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from migrations_app import audit, permissions, queries
from migrations_app.management.base import PortalCommand
from migrations_app.models import AuditEvent
from migrations_app.permissions import Verb


class Command(PortalCommand):
    help = "Print the audit trail, oldest event first: as JSON lines, or as CSV that is safe to open in a spreadsheet."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--format", choices=sorted(audit.FORMATS), default="jsonl")
        parser.add_argument("--app", metavar="SLUG", help="of one app only")
        parser.add_argument("--move", metavar="ID", help="of one move only")

    def run(self, **options: Any) -> None:
        permissions.require(self.user, Verb.EXPORT_AUDIT)
        events = permissions.in_sight(AuditEvent.objects.all(), self.user)
        if options["app"]:
            events = events.filter(app=queries.app(options["app"], viewer=self.user))
        if options["move"]:
            events = events.filter(migration=queries.move(options["move"], viewer=self.user))
        for line in audit.FORMATS["jsonl" if self.as_json else options["format"]](events):
            self.stdout.write(line, ending="")
