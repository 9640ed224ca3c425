"""Who may do what: the one answer every surface asks for.

Two things have to agree: a permission for the verb, which comes from the user's roles (groups made by the migration
roles), and sight of the app: users see the apps of the teams (groups) they belong to, or all of them with the
permission see_every_team. What is not in sight does not exist for them (NotFound), what is in sight and not allowed
is Forbidden.

`None` in place of a user is the operator at the portal's own shell, or the portal itself: allowed everything but
deciding what needs a second person and commenting, for these take a name.
"""

from __future__ import annotations

from typing import TypeVar

from django.contrib.auth.models import User
from django.db.models import QuerySet, TextChoices

from migrations_app.errors import Forbidden
from migrations_app.models import App, AppMigration, AuditEvent, OutboxMessage, Region, SourceReplica, Subscription
from migrations_app.states import Scope

Row = TypeVar("Row", AppMigration, SourceReplica, AuditEvent)
Thing = App | AppMigration | SourceReplica | Region


class Verb(TextChoices):
    VIEW = "view"
    REQUEST = "request"
    WITHDRAW = "withdraw"
    APPROVE = "approve"
    REJECT = "reject"
    ABORT = "abort"
    RETRY = "retry"
    REVERSE = "reverse"
    TEARDOWN = "teardown", "Tear down"
    KEEP = "keep"
    COMMENT = "comment", "Comment on"
    REGISTER = "register", "Register apps"
    EXPORT_AUDIT = "export_audit", "Export the audit trail"
    EDIT_SUBSCRIPTIONS = "edit_subscriptions", "Edit subscriptions"
    RESEND = "resend", "Send deliveries again"


_TEAMS = "_teams_cache"

DECISIONS = frozenset({Verb.APPROVE, Verb.REJECT})
ABOUT_A_REQUEST = DECISIONS | {Verb.WITHDRAW}
"""Their pages are about one approval, and name it (`approval`); the others carry a digest of what they say (`said`)."""
TAKES_A_NAME = DECISIONS | {Verb.COMMENT}
"""What counts by who says it."""

_PERMISSIONS = {
    Verb.VIEW: "view_appmigration",
    Verb.REQUEST: "request_move",
    Verb.WITHDRAW: "view_appmigration",  # one's own request, whatever was asked for: rules.forbids_withdrawal
    Verb.APPROVE: "approve_move",
    Verb.REJECT: "approve_move",
    Verb.ABORT: "abort_move",
    Verb.RETRY: "retry_move",
    Verb.REVERSE: "reverse_move",
    Verb.TEARDOWN: "teardown_replica",
    Verb.KEEP: "teardown_replica",  # for how long is decided by who may end it
    Verb.COMMENT: "view_appmigration",
    Verb.REGISTER: "add_app",
    Verb.EXPORT_AUDIT: "export_audit",
    Verb.EDIT_SUBSCRIPTIONS: "change_subscription",
    Verb.RESEND: "resend_message",
}


SCOPE_OF: dict[Verb, Scope] = {
    Verb.VIEW: Scope.READ,
    Verb.REQUEST: Scope.REQUEST,
    Verb.WITHDRAW: Scope.REQUEST,
    Verb.COMMENT: Scope.REQUEST,
    Verb.APPROVE: Scope.APPROVE,
    Verb.REJECT: Scope.APPROVE,
    Verb.ABORT: Scope.OPERATE,
    Verb.RETRY: Scope.OPERATE,
    Verb.REVERSE: Scope.OPERATE,
    Verb.TEARDOWN: Scope.OPERATE,
    Verb.KEEP: Scope.OPERATE,
    Verb.REGISTER: Scope.OPERATE,
    Verb.EXPORT_AUDIT: Scope.OPERATE,
    Verb.EDIT_SUBSCRIPTIONS: Scope.OPERATE,
    Verb.RESEND: Scope.OPERATE,
}
"""The scope that a token needs for the verb, besides its user's right to it (tokens.py)."""


def can(user: User | None, verb: Verb, thing: Thing | None = None) -> bool:
    """Whether the user may do that at all, to this thing if one is named. What rules say comes on top."""
    if user is None:
        return verb not in TAKES_A_NAME
    return user.has_perm(f"migrations_app.{_PERMISSIONS[verb]}") and (thing is None or sees(user, thing))


def require(user: User | None, verb: Verb, thing: Thing | None = None) -> None:
    """Raises Forbidden unless the user can()."""
    if not can(user, verb, thing):
        who = user.get_username() if user else "Somebody without a name"
        raise Forbidden(
            f"{who} may not {verb.label.lower()}{f' {_name(thing)}' if thing else ''}.",
            hint="Say who you are with --as." if user is None else "An admin gives roles and teams.",
        )


def sees(user: User | None, thing: Thing) -> bool:
    """Regions are seen by all who may look at anything; the rest as far as one's teams go."""
    if isinstance(thing, Region) or sees_every_team(user):
        return True
    app = thing if isinstance(thing, App) else thing.app
    return user is not None and app.owner_id is not None and app.owner_id in _teams_of(user)


def _teams_of(user: User) -> set[int]:
    """Keys of the user's groups. Looked up once for a user as loaded, as Django does with permissions."""
    if not hasattr(user, _TEAMS):
        setattr(user, _TEAMS, set(user.groups.values_list("pk", flat=True)))
    found: set[int] = getattr(user, _TEAMS)
    return found


def sight_of(user: User | None) -> str:
    """Which teams' things the user sees: who sees the same has the same word."""
    if user is None or sees_every_team(user):
        return "all"
    return ",".join(map(str, sorted(_teams_of(user)))) if can(user, Verb.VIEW) else ""


def sees_every_team(user: User | None) -> bool:
    return user is None or user.has_perm("migrations_app.see_every_team")


def visible_apps(user: User | None) -> QuerySet[App]:
    """The apps the user sees."""
    if user is None or sees_every_team(user):
        return App.objects.all()
    return App.objects.filter(owner__in=user.groups.all()) if can(user, Verb.VIEW) else App.objects.none()


def in_sight(rows: QuerySet[Row], user: User | None) -> QuerySet[Row]:
    """Those of the rows, each with an `app`, that the user sees."""
    if user is None or sees_every_team(user):
        return rows
    return rows.filter(app__owner__in=user.groups.all()) if can(user, Verb.VIEW) else rows.none()


IN_SIGHT = """(%(viewer)s::integer IS NULL
    OR app.owner_id IN (SELECT group_id FROM auth_user_groups WHERE user_id = %(viewer)s))"""
"""in_sight(), in a statement that is written out, of an `app`; `viewer` is what seen_by() says."""


def seen_by(viewer: User | None) -> int | None:
    """Whose teams' apps are in sight; None: all apps are; 0: none is."""
    if viewer is None or sees_every_team(viewer):
        return None
    return viewer.pk if can(viewer, Verb.VIEW) else 0


def visible_subscriptions(user: User | None) -> QuerySet[Subscription]:
    """Those of the user's teams; those about every team are seen by who sees every team."""
    if user is None or sees_every_team(user):
        return Subscription.objects.all()
    return (
        Subscription.objects.filter(team__in=user.groups.all()) if can(user, Verb.VIEW) else Subscription.objects.none()
    )


def visible_messages(user: User | None) -> QuerySet[OutboxMessage]:
    """What was told to a subscription that the user sees, of an app that the user sees."""
    if user is None or sees_every_team(user):
        return OutboxMessage.objects.all()
    return OutboxMessage.objects.filter(
        subscription__in=visible_subscriptions(user), migration__in=in_sight(AppMigration.objects.all(), user)
    )


def _name(thing: Thing) -> str:
    return f"the move {thing}" if isinstance(thing, AppMigration) else str(thing)
