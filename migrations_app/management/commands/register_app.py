from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.db import transaction

from migrations_app import actions, permissions, queries, registration
from migrations_app.management import arguments
from migrations_app.management.base import PortalCommand
from migrations_app.permissions import Verb


class Command(PortalCommand):
    help = (
        "Put an existing app on the books. Bucket, program and port are looked up in the region under the app's name; "
        "say --no-blobs or --no-runtime where what is found there is not the app's."
    )
    examples = (
        (
            "An app with traffic, of a team",
            "register_app shop --region us-east-1 --database shop --hostname shop.example.com --owner shop-team",
        ),
        ("Only a database", "register_app ledger --region us-east-1 --database ledger --no-blobs --no-runtime"),
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("slug", metavar="SLUG", help="the app's name, e.g. shop")
        parser.add_argument("--region", type=arguments.REGION, required=True, help="where it lives, e.g. us-east-1")
        parser.add_argument("--database", required=True, help="its database in the region's cluster")
        parser.add_argument("--hostname", default="", help="the host name under which the edges serve it")
        parser.add_argument("--port", type=int, help="where its process listens; default: as the edge routes it")
        parser.add_argument("--blobs", help="its bucket; default: the one named like the app, if there is one")
        parser.add_argument("--program", help="its program; default: the one named like the app, if there is one")
        parser.add_argument("--no-blobs", action="store_true", help="it has no blobs")
        parser.add_argument("--no-runtime", action="store_true", help="it has no program")
        parser.add_argument("--health-path", default="/healthz", help="answers 200 when it is well")
        parser.add_argument("--owner", metavar="TEAM", help="the team (group) it belongs to; made if new")

    def run(self, **options: Any) -> None:
        permissions.require(self.user, Verb.REGISTER)
        app = registration.discover(
            slug=options["slug"],
            region=queries.region(options["region"]),
            database=options["database"],
            hostname=options["hostname"],
            port=options["port"],
            blobs_name="" if options["no_blobs"] else options["blobs"],
            program="" if options["no_runtime"] else options["program"],
            health_path=options["health_path"],
        )
        with transaction.atomic():  # a team that is new goes with the app that is refused
            app.owner = actions.owner_team(options["owner"]) if options["owner"] else None
            actions.put_on_the_books(app=app, acting_user=self.user)
        self.answer(
            {
                "app_id": app.slug,
                "region": app.region.slug,
                "database": app.database,
                "blobs": app.blobs or None,
                "program": app.program or None,
                "hostname": app.hostname or None,
                "port": app.port,
            },
            f"{app.slug} is on the books in {app.region}: database {app.database}, "
            f"{f'bucket {app.blobs}' if app.blobs else 'no blobs'}, "
            f"{f'program {app.program}' if app.program else 'no runtime'}, "
            + (f"{app.hostname} on port {app.port}." if app.is_routed else "no traffic is routed to it."),
        )
