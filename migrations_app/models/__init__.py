from migrations_app.models.alarm import Alarm, Heartbeat
from migrations_app.models.api_token import ApiToken
from migrations_app.models.app import App
from migrations_app.models.app_migration import AppMigration
from migrations_app.models.approval import Approval
from migrations_app.models.audit_event import AuditEvent
from migrations_app.models.kept_answer import KeptAnswer
from migrations_app.models.outbox_message import OutboxMessage
from migrations_app.models.region import Region
from migrations_app.models.source_replica import SourceReplica
from migrations_app.models.step_run import StepRun
from migrations_app.models.subscription import Subscription

__all__ = [
    "Alarm",
    "ApiToken",
    "App",
    "AppMigration",
    "Approval",
    "AuditEvent",
    "Heartbeat",
    "KeptAnswer",
    "OutboxMessage",
    "Region",
    "SourceReplica",
    "StepRun",
    "Subscription",
]
