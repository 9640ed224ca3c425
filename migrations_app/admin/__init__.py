"""The admin: regions, apps and people can be edited; everything with a history can only be looked at, and moves change
by actions alone, each behind a page that says what will happen."""

from migrations_app.admin import (
    alarms,
    approvals,
    apps,
    audit_events,
    deliveries,
    moves,
    people,
    regions,
    replicas,
    subscriptions,
    tokens,
)

__all__ = [
    "alarms",
    "approvals",
    "apps",
    "audit_events",
    "deliveries",
    "moves",
    "people",
    "regions",
    "replicas",
    "subscriptions",
    "tokens",
]
