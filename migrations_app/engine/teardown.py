"""Gives a way back up: removes the replica and all that kept it current. Each act converges; run again, it goes on."""

from __future__ import annotations

import shutil
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction
from django.db.models.functions import Now

from migrations_app import bell
from migrations_app.dataplane import blobs, runtime
from migrations_app.dataplane.database import creation, identity, replication, roles, tripwire
from migrations_app.engine import predecessor
from migrations_app.engine.journal import appended_act
from migrations_app.engine.lease import Lease, claim, now
from migrations_app.errors import HandedBack, LeaseLost, StepError
from migrations_app.models import AppMigration, SourceReplica
from migrations_app.move import bucket, cluster, host
from migrations_app.states import ACTIVE, ReplicaState
from migrations_app.transitions import record

_LOOK_AGAIN = timedelta(seconds=15)
_ACT_SECONDS = 3600
"""What one act may take before its runner is ended as one that hangs; the next one goes on where it was."""


def run_teardown(replica_id: int) -> str:
    """Tear a replica down, if it is to be and nobody else does; one sentence for the worker's log."""
    lease = claim(SourceReplica.objects.filter(state=ReplicaState.TEARING_DOWN), replica_id, named_by="migration_id")
    if lease is None:
        return f"Replica {replica_id} is not due, or another runner has it."
    try:
        with lease.kept():
            predecessor.evict(lease)
            Teardown(lease).run()
    except StepError as error:
        lease.release(last_error=str(error), due_at=Now() + _LOOK_AGAIN)
        return f"Not torn down yet: {error}"
    except HandedBack as stop:
        lease.release(due_at=Now())
        return stop.reason
    except LeaseLost:
        lease.release(due_at=Now())
        return "The lease was lost."
    except (OperationalError, InterfaceError) as error:
        lease.release(due_at=Now() + timedelta(seconds=1))
        return f"The portal's database failed ({type(error).__name__}); it goes on."
    lease.release()
    return "Torn down."


def forget_dump(move_id: UUID) -> str:
    """Delete a move's dump from this machine, unless it is of use yet; one sentence for the worker's log.

    The workers of each region may have disks of their own: those of the move's destination have made it.
    """
    if AppMigration.objects.filter(pk=move_id, status__in=ACTIVE).exists():
        return f"Move {move_id} is under way."
    if SourceReplica.objects.filter(migration=move_id, state=ReplicaState.RETAINED).exists():
        return f"Move {move_id} can still be reversed."
    shutil.rmtree(settings.MOVES_WORK_DIR / str(move_id), ignore_errors=True)
    return "Deleted the dump, if it was here."


class Teardown:
    def __init__(self, lease: Lease[SourceReplica]) -> None:
        self.lease = lease
        self.replica = SourceReplica.objects.select_related("app", "region", "migration__dest_region").get(pk=lease.pk)
        self.move = self.replica.migration
        self.app = self.replica.app

    def run(self) -> None:
        self._limit_act()
        self._end_stream()
        self._drop_database()
        if self.app.blobs:
            blobs.purge(bucket(self.replica.region, self.app), check=self._check)
            self._act(f"Removed the bucket {self.app.blobs}.")
        if self.app.program:
            runtime.remove(host(self.replica.region), self.app.program, check=self._check)
            self._act(f"Removed the program {self.app.program}.")
        moves = AppMigration.objects.filter(app=self.app, initiated_at__lte=self.move.initiated_at)
        for move in moves:
            forget_dump(move.pk)
        for note in self.lease.notes:
            self._act(note)
        with transaction.atomic():
            self.lease.write(state=ReplicaState.TORN_DOWN, ended_at=Now(), last_error="")
            record(
                "torn_down",
                migration=self.move,
                from_status=ReplicaState.TEARING_DOWN,
                to_status=ReplicaState.TORN_DOWN,
            )
            for move in moves.select_related("dest_region"):
                bell.ring_on_commit(bell.FORGET_DUMP, move.pk, move.dest_region.slug)

    def _end_stream(self) -> None:
        name = self.move.name_in_regions
        replica, primary = (
            cluster(region, self.app.database) for region in (self.replica.region, self.move.dest_region)
        )
        # The primary first: its slot would fill the disk of the region that serves, should the replica's be gone.
        replication.unpublish(primary, name, check=self._check)
        identity.restore_identity(primary, self.move.fact("identity", []), check=self._check)
        if replica.exists():
            replication.unsubscribe(replica, name)
        self._act(f"Ended the stream from {primary.region}: subscription, slot, publication and role {name}.")

    def _drop_database(self) -> None:
        region = self.replica.region
        database = cluster(region, self.app.database)
        tripwire.drop_slot(database, self.move.name_in_regions, check=self._check)
        creation.drop(database)
        self._act(f"Dropped database {database.dbname} in {region}.")
        with database.admin() as admin:
            for name in self._roles_made_there():
                if roles.drop(admin, name):
                    self._act(f"Dropped role {name} in {region}.")

    def _roles_made_there(self) -> list[str]:
        """Roles that the portal made when it brought the app to this region; others were there before it."""
        arrivals = AppMigration.objects.filter(
            app=self.app,
            dest_region=self.replica.region,
            pivot_at__isnull=False,
            initiated_at__lt=self.move.initiated_at,
        )
        return sorted({name for move in arrivals for name in move.fact("roles_made", [])})

    def _check(self) -> None:
        self.lease.check()

    def _act(self, text: str) -> None:
        self.lease.write(acts=appended_act(text))
        self._limit_act()

    def _limit_act(self) -> None:
        self.lease.limit_at = now() + _ACT_SECONDS
