"""A night on call, for the pictures: real moves in the sandbox's regions, and a past that is only on the books.

atlas     moves live, and stands still in the middle, so that there is time for its picture
billing   is held past its pivot: the worker cannot reach the edge that it has to prove writes through
catalog   waits for approval
orders    completed; the way back is kept
press     moved and came back; that replica is old and past its day
reports   is scheduled for tomorrow
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import F
from django.utils import timezone

from migrations_app import actions, workers
from migrations_app.dataplane import blobs, edge, runtime
from migrations_app.dataplane.edge_route import Route
from migrations_app.models import App, AppMigration, Heartbeat, Region, SourceReplica
from migrations_app.move import cluster, host
from migrations_app.states import TERMINAL, ReplicaState, Status, Step, Strategy
from portal.sandbox.layout import find_layout
from portal.sandbox.lifecycle import status
from portal.sandbox.sample_app.deploy import Target, deploy
from tests.browser.portal import Portal
from tests.conftest import wipe
from tests.guestbook import free_port
from tests.people import person, team
from tests.waiting import wait_until

TEAM = "storefront"
US, EU, AP = "us-east-1", "eu-west-1", "ap-south-1"
_LONG = 60.0


@dataclass
class Night:
    portal: Portal
    regions: dict[str, Region]
    secrets: Path
    people: dict[str, User] = field(default_factory=dict)
    moves: dict[str, AppMigration] = field(default_factory=dict)
    apps: dict[str, App] = field(default_factory=dict)

    def begin(self) -> None:
        """Somebody for each role, and workers; nothing else."""
        for name, role in (("rita", "Requester"), ("anna", "Approver"), ("olga", "Operator"), ("ada", "Admin")):
            self.people[name] = person(name, role, TEAM)
        for region in self.regions:
            self.portal.work(region)
        self.portal.reconcile()
        wait_until(lambda: len(workers.alive() or ()) == len(self.regions) and Heartbeat.objects.exists(), _LONG)

    def get_busy(self) -> None:
        for name in ("almanac", "atlas", "billing", "catalog", "orders", "press", "reports"):
            self.apps[name] = self._deployed(name, rows=60_000 if name == "atlas" else 1_000)
        self._past_of_press()
        self._press_comes_back()
        self._orders_moved()
        self._billing_is_held()
        self._reports_are_scheduled()
        self.moves["catalog"] = self._asked("catalog", EU, "Two thirds of its readers are in Europe.")
        self._atlas_moves()

    # -- what each app goes through -------------------------------------------------------------------------------

    def _past_of_press(self) -> None:
        """Where it lived in the months before."""
        stays = [(US, EU, 190, 0.9), (EU, AP, 120, 2.4), (AP, US, 45, 1.3)]
        for source, dest, days, blocked in stays:
            at = timezone.now() - timedelta(days=days)
            move = AppMigration.objects.create(
                app=self.apps["press"],
                strategy=Strategy.LIVE,
                source_region=self.regions[source],
                dest_region=self.regions[dest],
                requested_by=self.people["rita"],
                reason="Closer to its readers.",
                status=Status.COMPLETED,
                current_step=Step.COMPLETED,
                writes_blocked_at=at,
                writes_unblocked_at=at + timedelta(seconds=blocked),
                pivot_at=at,
                completed_at=at + timedelta(seconds=20),
            )
            AppMigration.objects.filter(pk=move.pk).update(initiated_at=at - timedelta(minutes=7))
            replica = SourceReplica.objects.create(
                migration=move,
                app=move.app,
                region=move.source_region,
                state=ReplicaState.TORN_DOWN,
                size_bytes=23 * 10**9,
                ended_at=at + timedelta(days=14),
            )
            SourceReplica.objects.filter(pk=replica.pk).update(created_at=move.completed_at)
        App.objects.filter(pk=self.apps["press"].pk).update(created_at=timezone.now() - timedelta(days=260))

    def _press_comes_back(self) -> None:
        self._completed("press", EU, "The region's rack is being replaced.")
        self._long_ago("press", timedelta(days=16))

    def _orders_moved(self) -> None:
        self._completed("orders", EU, "Closer to its users.")

    def _billing_is_held(self) -> None:
        self.portal.work(EU, EDGE_PUBLIC_URLS=f"http://127.0.0.1:{free_port('127.0.0.1')}")
        move = self._approved(self._asked("billing", EU, "Off the old hardware before Monday."))
        wait_until(lambda: _status(move) == Status.HELD, _LONG)
        self.moves["billing"] = move
        self.portal.work(EU)

    def _reports_are_scheduled(self) -> None:
        tomorrow = timezone.localtime() + timedelta(days=1)
        at = tomorrow.replace(hour=2, minute=0, second=0, microsecond=0)
        self.moves["reports"] = self._approved(self._asked("reports", AP, "Agreed with the team.", not_before=at))

    def _atlas_moves(self) -> None:
        point = "pause@do:copying_blobs:act"
        struck = self.portal.work_with_faults(EU, point)
        move = self._approved(self._asked("atlas", EU, "The lease in Virginia ends."))
        wait_until((struck / point).exists, _LONG)
        self.moves["atlas"] = move

    # -- what people do -------------------------------------------------------------------------------------------

    def _asked(self, app: str, dest: str, reason: str, **more: Any) -> AppMigration:
        return actions.request_move(
            app_slug=app,
            dest_slug=dest,
            acting_user=self.people["rita"],
            reason=reason,
            strategy=Strategy.LIVE,
            ticket_url="https://tickets.example/OPS-2071",
            **more,
        )

    def _approved(self, move: AppMigration) -> AppMigration:
        return actions.approve(move_id=move.pk, acting_user=self.people["anna"])

    def _completed(self, app: str, dest: str, reason: str) -> None:
        move = self._approved(self._asked(app, dest, reason))
        wait_until(lambda: _status(move) in TERMINAL, _LONG)
        move.refresh_from_db()
        assert move.status == Status.COMPLETED, move.last_error
        self.moves[app] = move

    def _long_ago(self, app: str, ago: timedelta) -> None:
        """Put its last move back in time, and its replica with the day that follows."""
        move = self.moves[app]
        times = ("initiated_at", "writes_blocked_at", "writes_unblocked_at", "pivot_at", "completed_at")
        AppMigration.objects.filter(pk=move.pk).update(**{name: F(name) - ago for name in times})
        move.step_runs.update(started_at=F("started_at") - ago, ended_at=F("ended_at") - ago)
        SourceReplica.objects.filter(migration=move).update(
            created_at=F("created_at") - ago, review_at=F("review_at") - ago
        )

    # -- the regions ----------------------------------------------------------------------------------------------

    def _deployed(self, name: str, rows: int) -> App:
        """The sample app under that name, in the first region, on the books and served by the edge."""
        found = next(region for region in status().regions if region["slug"] == US)
        home = self.regions[US]
        target = Target(**found, programs=find_layout().programs(US), host=home.app_host)
        port = free_port(home.app_host)
        deploy(target, port=port, secrets=self.secrets, name=name, rows=rows, pictures=40)
        app = App.objects.create(
            slug=name,
            owner=team(TEAM),
            region=home,
            database=name,
            blobs=name,
            program=name,
            hostname=f"{name}.localhost",
            port=port,
        )
        for admin_url in settings.EDGE_ADMIN_URLS:
            edge.apply(admin_url, name, Route(app.hostname, app.upstream_in(home), fenced=False))
        return app

    def end(self) -> None:
        """Nothing of it is left in the regions."""
        self.portal.end()
        for name in self.apps:
            for region in self.regions.values():
                runtime.remove(host(region), name)
                blobs.purge(blobs.join(region.blobs, name))
                wipe(cluster(region, name))
            for admin_url in settings.EDGE_ADMIN_URLS:
                edge.remove(admin_url, name)


def _status(move: AppMigration) -> str:
    return AppMigration.objects.values_list("status", flat=True).get(pk=move.pk)
