"""Putting apps on the books, and the trail of what is edited by hand."""

from __future__ import annotations

from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q

from migrations_app import permissions, rules
from migrations_app.errors import InvalidInput
from migrations_app.models import App
from migrations_app.permissions import Verb
from migrations_app.registration import invalid
from migrations_app.transitions import record


def put_on_the_books(*, app: App, acting_user: User | None) -> App:
    """Register an existing app, as registration.discover() found it. Raises Forbidden, or InvalidInput naming the
    field."""
    permissions.require(acting_user, Verb.REGISTER)
    there = App.objects.filter(Q(slug=app.slug) | Q(region=app.region, database=app.database)).first()
    if there:
        raise InvalidInput(
            f"{there.region}'s database {there.database} is on the books already, as app {there}.",
            hint="Give another name and another database.",
            code="already_registered",
        )
    try:
        app.full_clean()
    except ValidationError as error:
        raise invalid(error) from error
    with transaction.atomic():
        app.save()
        record("register", app=app, actor=acting_user)
    return app


def note_edit(*, verb: str, target: str, changes: str, acting_user: User | None, app: App | None = None) -> None:
    """What somebody changed by hand in the admin, on the audit trail; in the caller's transaction."""
    record(verb, app=app, target=target, actor=acting_user, reason=changes)


def owner_team(name: str) -> Group:
    """The team of that name; made if it is new. InvalidInput for a role's name: a role is no team."""
    no_team = rules.forbids_owner(name)
    if no_team:
        raise InvalidInput(f"owner: {no_team.reason}", hint=no_team.hint, code=no_team.code)
    group, _ = Group.objects.get_or_create(name=name)
    return group
