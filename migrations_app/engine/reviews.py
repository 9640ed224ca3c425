"""Asks whether a retained replica is still needed, once its day has come. Nothing is torn down by itself."""

from __future__ import annotations

from django.db.models import QuerySet

from migrations_app.clock import database_now
from migrations_app.engine import alarms
from migrations_app.engine.alarms import Trouble
from migrations_app.models import Alarm, SourceReplica
from migrations_app.models.alarm import AlarmCode
from migrations_app.states import ReplicaState


def look() -> None:
    """Raise an alarm about each replica that is past its day, and end those about the others."""
    past = SourceReplica.objects.filter(state=ReplicaState.RETAINED, review_at__lte=database_now())
    found = [_overdue(replica) for replica in past.defer("history").select_related("app", "region", "migration")]
    alarms.settle(found, among=Alarm.objects.filter(code=AlarmCode.REPLICA_OVERDUE))


def calls_for(replica: SourceReplica) -> QuerySet[Alarm]:
    """The alarms that ask about this replica."""
    return Alarm.objects.filter(code=AlarmCode.REPLICA_OVERDUE, about=f"replica {replica.pk}")


def _overdue(replica: SourceReplica) -> Trouble:
    return Trouble(
        AlarmCode.REPLICA_OVERDUE,
        f"replica {replica.pk}",
        f"The replica of {replica.app} in {replica.region.slug} was kept until {replica.review_at:%Y-%m-%d}: is it "
        "still needed?",
        "Reverse, tear down, or keep it longer.",
        region=replica.region,
        migration=replica.migration,
    )
