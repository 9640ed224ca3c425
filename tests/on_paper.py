"""Regions, apps and moves that are only on the books, for tests of the surfaces."""

from __future__ import annotations

from typing import Any

from django.db.models.functions import Now

from migrations_app.models import App, AppMigration, Region, SourceReplica
from migrations_app.states import Status
from tests.people import team


def region(slug: str, **fields: Any) -> Region:
    return Region.objects.get_or_create(slug=slug, defaults={"database": "host=127.0.0.1 dbname=postgres", **fields})[0]


def app(slug: str, owner: str = "team-a", home: str = "us-east-1", **fields: Any) -> App:
    return App.objects.create(
        slug=slug, owner=team(owner), region=region(home), database=slug.replace("-", "_"), **fields
    )


def move(of: App, dest: str = "eu-west-1", **fields: Any) -> AppMigration:
    fields.setdefault("reason", "a test")
    return AppMigration.objects.create(app=of, source_region=of.region, dest_region=region(dest), **fields)


def completed(of: App, dest: str = "eu-west-1") -> AppMigration:
    """A move that is over; its replica is kept."""
    done = move(of, dest, status=Status.COMPLETED, pivot_at=Now(), completed_at=Now())
    SourceReplica.objects.create(migration=done, app=of, region=of.region, size_bytes=5 * 10**9)
    App.objects.filter(pk=of.pk).update(region=done.dest_region)
    return AppMigration.objects.get(pk=done.pk)
