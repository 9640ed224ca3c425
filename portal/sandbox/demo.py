"""The demo: the guest book moves to another region under real traffic, comes back, and the replica is torn down.

Everything runs as in production: the moves are requested by an action and worked by the sandbox's own workers. What was
written meanwhile is looked up afterwards, directly in the database of the region that serves.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from psycopg.conninfo import make_conninfo

from migrations_app import actions, published, queries, registration
from migrations_app.dataplane import edge
from migrations_app.dataplane.edge_route import Route
from migrations_app.errors import NotFound, PortalError
from migrations_app.management.watch import watch
from migrations_app.models import App, AppMigration, Region, SourceReplica
from migrations_app.states import REPLICA_OPEN, ReplicaState, RunStatus, Status
from portal.sandbox.layout import Layout
from portal.sandbox.sample_app.deploy import Target, deploy, undeploy
from portal.sandbox.state import APP, TEAM, Sandbox
from portal.sandbox.traffic import Audit, Ledger, Traffic, audit

HOSTNAME = f"{APP}.localhost"
PICTURES = 200

_WARM_UP_SECONDS = 2.0
_COOL_DOWN_SECONDS = 2.0
_TEARDOWN_SECONDS = 120.0
_ANEW = "A new demo begins."

Say = Callable[[str], None]


class DemoFailed(PortalError):
    """The demo could not be run to its end."""

    code = "demo_failed"


@dataclass(frozen=True)
class Outcome:
    """What one part of the demo came to: the move, the reverse or the teardown."""

    report: dict[str, Any]
    ok: bool


class Demo:
    def __init__(self, sandbox: Sandbox, *, rows: int, say: Say, quiet: bool) -> None:
        self.sandbox = sandbox
        self.layout: Layout = sandbox.layout
        self.rows = rows
        self.say = say
        self.quiet = quiet
        self.port = sandbox.state.ports[APP]
        people = get_user_model().objects
        self.requester, self.approver, self.operator = (
            people.get(username=name) for name in ("requester", "approver", "operator")
        )
        self.ledgers: list[Ledger] = []

    def run(self) -> tuple[dict[str, Any], bool]:
        """The whole demo: `(the move's report with those of reverse and teardown in it, all went well)`."""
        app = self._fresh_app()
        home = app.region
        dest = Region.objects.exclude(pk=home.pk).filter(accepts_moves=True).order_by("-slug").first()
        if dest is None:
            raise DemoFailed("No other region accepts moves.", hint="Open one in the admin.")
        moved = self._under_traffic(f"Move {app} from {home} to {dest}", lambda: self._move(app, dest))
        if not moved.ok:
            return moved.report, False
        move_id = moved.report["migration_id"]
        reversed_ = self._under_traffic(f"Reverse it: back to {home}", lambda: self._reverse(move_id))
        report = {**moved.report, "reverse": reversed_.report}
        if not reversed_.ok:
            return report, False
        replica_of = reversed_.report["migration_id"]
        torn_down = self._under_traffic(f"Tear down the replica in {dest}", lambda: self._teardown(replica_of, app))
        return {**report, "teardown": torn_down.report}, torn_down.ok

    # -- the app ----------------------------------------------------------------------------------------------

    def _fresh_app(self) -> App:
        """The guest book, newly filled, on the books, served by the edge; what an earlier demo left is ended."""
        try:
            app = queries.app(APP, viewer=None)
        except NotFound:
            app = None
        region = app.region if app else queries.region("us-east-1")
        if app:
            self._end_what_is_left(app)
        target = self._target(region)
        undeploy(target)
        self.say(f"Filling the guest book in {region}: {self.rows} entries, {PICTURES} pictures.")
        deploy(target, port=self.port, secrets=self.layout.root / "secrets", rows=self.rows, pictures=PICTURES)
        route = Route(hostname=HOSTNAME, upstream=f"{target.host}:{self.port}", fenced=False)
        edge.apply(self.sandbox.url("edge-admin"), APP, route)
        if app:
            App.objects.filter(pk=app.pk, owner=None).update(owner=actions.owner_team(TEAM))
            return app
        found = registration.discover(
            slug=APP,
            region=region,
            database=APP,
            hostname=HOSTNAME,
            port=None,
            blobs_name=None,
            program=None,
            health_path="/healthz",
        )
        found.owner = actions.owner_team(TEAM)
        return actions.put_on_the_books(app=found, acting_user=self.operator)

    def _end_what_is_left(self, app: App) -> None:
        move = queries.active_move(app.slug, viewer=None)
        if move and not move.pivot_at:
            actions.abort(move_id=move.pk, acting_user=self.operator, reason=_ANEW)
        if move and watch(move.pk, plain=True).status == Status.HELD:
            raise DemoFailed(f"An earlier demo's move is held: {move.last_error}", hint="`sandbox reset` begins anew.")
        app.refresh_from_db()
        replica = SourceReplica.objects.filter(app=app, state__in=REPLICA_OPEN).first()
        if replica:
            self.say(f"Tearing down the replica that an earlier demo left in {replica.region}.")
            if replica.state == ReplicaState.RETAINED:
                self._ask_for_teardown(replica.migration_id, app, _ANEW)
            self._torn_down(replica)

    def _target(self, region: Region) -> Target:
        return Target(
            slug=region.slug,
            database=region.database,
            blobs=region.blobs,
            runtime=region.runtime_url,
            programs=Path(region.runtime_path),
            host=region.app_host,
        )

    # -- one part ---------------------------------------------------------------------------------------------

    def _under_traffic(self, title: str, act: Callable[[], dict[str, Any]]) -> Outcome:
        self.say(f"\n{title}")
        traffic = Traffic(self.sandbox.url("edge"), HOSTNAME)
        with traffic:
            time.sleep(_WARM_UP_SECONDS)  # so that the traffic before it is in the figures
            report = act()
            time.sleep(_COOL_DOWN_SECONDS)
        ledger = traffic.stop()
        self.ledgers.append(ledger)
        audits = [self._audit(each) for each in self.ledgers]
        report.update(
            acknowledged_writes=len(ledger.acknowledged),
            lost_writes=sum(found.lost for found in audits),
            duplicated_writes=sum(found.duplicated for found in audits),
            refused_writes=len(ledger.refused),
            unknown_writes=len(ledger.unknown),
            reads=ledger.reads,
            failed_reads=ledger.failed_reads,
            read_failures=[f"{failure.what}: {failure.reason}" for failure in ledger.read_failures[:5]],
        )
        ok = (
            report["status"] in (Status.COMPLETED, ReplicaState.TORN_DOWN)
            and all(found.ok for found in audits)
            and not ledger.failed_reads
        )
        self.say(_summary(report))
        return Outcome(report, ok)

    def _audit(self, ledger: Ledger) -> Audit:
        region = App.objects.select_related("region").get(slug=APP).region
        return audit(make_conninfo(region.database, dbname=APP), ledger, pictures=f"{region.blobs}{APP}")

    def _move(self, app: App, dest: Region) -> dict[str, Any]:
        move = actions.request_move(
            app_slug=app.slug,
            dest_slug=dest.slug,
            acting_user=self.requester,
            reason="The demo: closer to its users.",
            strategy=queries.AUTO,
        )
        self.say(f"  {self.requester} asks for it: {move.status}. {move.strategy}: {move.strategy_reason}")
        return self._followed(self._approved(move))

    def _approved(self, move: AppMigration) -> AppMigration:
        """As policy wants it: by somebody else."""
        if not queries.waits_for_approval(move):
            return move
        move = actions.approve(move_id=move.pk, acting_user=self.approver)
        self.say(f"  {self.approver} approves.")
        return move

    def _ask_for_teardown(self, move_id: UUID | str, app: App, reason: str) -> SourceReplica:
        replica = actions.teardown(move_id=move_id, acting_user=self.operator, confirm=app.slug, reason=reason)
        self.say(f"  {self.operator} asks for the teardown.")
        self._approved(replica.migration)
        replica.refresh_from_db()
        return replica

    def _reverse(self, move_id: str) -> dict[str, Any]:
        move = actions.reverse(move_id=move_id, acting_user=self.requester, reason="The demo: the way back.")
        return self._followed(self._approved(move))

    def _followed(self, move: AppMigration) -> dict[str, Any]:
        done = watch(move.pk, plain=self.quiet)
        steps = published.steps_of(done)
        return {
            "status": done.status,
            "migration_id": str(done.pk),
            "last_error": done.last_error or None,
            "steps": [
                {"step": step["step"], "seconds": round(step["seconds"] or 0.0, 3), "skipped": step["skipped"]}
                for step in steps
                if step["state"] in (RunStatus.DONE, RunStatus.SKIPPED)
            ],
            "blocked_seconds": done.blocked_seconds,
            "rows": (done.verification or {}).get("rows"),
            "blobs": done.fact("blobs", 0),
            "bytes": done.fact("replica_size_bytes"),
        }

    def _torn_down(self, replica: SourceReplica) -> None:
        give_up_at = time.monotonic() + _TEARDOWN_SECONDS
        while replica.state != ReplicaState.TORN_DOWN:
            if time.monotonic() > give_up_at:
                raise DemoFailed(f"The replica is not torn down yet: {replica.last_error or 'no worker takes it'}.")
            time.sleep(0.1)
            replica.refresh_from_db()

    def _teardown(self, move_id: str, app: App) -> dict[str, Any]:
        began = time.monotonic()
        replica = self._ask_for_teardown(move_id, app, "The demo: the app stays.")
        self._torn_down(replica)
        if not self.quiet:
            for act in replica.acts:
                self.say(f"  {act['text']}")
        return {
            "status": replica.state,
            "migration_id": move_id,
            "last_error": None,
            "steps": [{"step": "teardown", "seconds": round(time.monotonic() - began, 3), "skipped": False}],
            "blocked_seconds": 0.0,
            "rows": None,
            "blobs": None,
            "bytes": replica.size_bytes,
        }


def _summary(report: dict[str, Any]) -> str:
    blocked = report["blocked_seconds"]
    return (
        f"{report['status']}: writes were blocked for {blocked:.2f} s; " if blocked else f"{report['status']}: "
    ) + (
        f"{report['acknowledged_writes']} writes acknowledged, {report['lost_writes']} lost, "
        f"{report['duplicated_writes']} duplicated, {report['refused_writes']} refused by the fence; "
        f"{report['reads']} reads, {report['failed_reads']} failed."
    )
