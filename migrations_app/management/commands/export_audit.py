from __future__ import annotations

import json
import sys
from io import TextIOWrapper
from typing import Any

from django.core.management.base import CommandParser
from django.db.models import QuerySet

from migrations_app import audit, permissions, queries
from migrations_app.management import arguments
from migrations_app.management.base import PortalCommand
from migrations_app.models import AuditEvent
from migrations_app.permissions import Verb


class Command(PortalCommand):
    help = "Print the audit trail, oldest event first: as JSON lines, or as CSV that is safe to open in a spreadsheet."
    examples = (
        ("All of it, as one JSON object a line", "export_audit > audit.jsonl"),
        ("For a spreadsheet", "export_audit --format csv > audit.csv"),
        ("What happened to one app, as one JSON object", "export_audit --app shop --json"),
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--format", choices=sorted(audit.FORMATS), default="jsonl", help="of a file; --json is one object instead"
        )
        parser.add_argument("--app", type=arguments.APP, metavar="SLUG", help="of one app only")
        parser.add_argument("--move", type=arguments.MOVE, metavar="ID", help="of one move only")

    def run(self, **options: Any) -> None:
        permissions.require(self.user, Verb.EXPORT_AUDIT)
        events = permissions.in_sight(AuditEvent.objects.all(), self.user)
        if options["app"]:
            events = events.filter(app=queries.app(options["app"], viewer=self.user))
        if options["move"]:
            events = events.filter(migration=queries.move(options["move"], viewer=self.user))
        if self.as_json:
            self._print_object(events)
            return
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")  # a file that is checked elsewhere is not of this terminal
        for line in audit.FORMATS[options["format"]](events):
            self.stdout.write(line, ending="")

    def _print_object(self, events: QuerySet[AuditEvent]) -> None:
        """Event by event: the trail may be longer than memory."""
        separator = '{"events": ['
        for row in audit.as_rows(events):
            self.stdout.write(separator + json.dumps(row), ending="")
            separator = ",\n"
        self.stdout.write("]}" if separator == ",\n" else '{"events": []}')
