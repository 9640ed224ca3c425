"""A pair, as a move leaves it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db.models.functions import Now

from migrations_app.dataplane.database import identity, proof, replication
from migrations_app.dataplane.process import no_check
from migrations_app.models import AppMigration, Region, SourceReplica
from migrations_app.states import Status
from tests.conftest import Shop
from tests.streaming.pair import SCHEMA, Pair, copy_to
from tests.waiting import wait_until


@pytest.fixture
def make_pair(make_shop: Callable[..., Shop], us: Region, eu: Region) -> Callable[[str], Pair]:
    """What a move from us to eu leaves, without its fences; itself it is on paper: a real one takes thrice as long."""

    def make(schema: str) -> Pair:
        shop = make_shop(eu.slug, schema)
        primary, replica = shop.cluster(eu), shop.cluster(us)
        move = AppMigration.objects.create(
            app=shop.app, source_region=us, dest_region=eu, status=Status.COMPLETED, pivot_at=Now(), completed_at=Now()
        )
        SourceReplica.objects.create(migration=move, app=shop.app, region=us)
        copy_to(replica, primary)
        for side in (replica, primary):
            identity.give_identity(side, identity.missing_identity(side), check=no_check)
        replication.publish(primary, move.name_in_regions)
        replication.make_slot(primary, move.name_in_regions)
        replication.subscribe(primary, replica, move.name_in_regions)
        wait_until(lambda: proof.is_streaming(primary, move.name_in_regions))
        return Pair(shop, move, primary=eu, replica=us)

    return make


@pytest.fixture
def pair(make_pair: Callable[[str], Pair]) -> Pair:
    return make_pair(SCHEMA)
