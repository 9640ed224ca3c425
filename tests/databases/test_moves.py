"""Databases of many kinds, moved, reversed and torn down: each comes out equal.

The witness (snapshot.py) is not the product's own comparison.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from migrations_app.dataplane.database import roles as roles_of_product
from migrations_app.models import AppMigration
from migrations_app.move import cluster as cluster_of
from migrations_app.states import Status, Strategy
from tests.conftest import moved, reversed_, torn_down
from tests.databases import snapshot
from tests.databases.conftest import HERE, Built
from tests.databases.reading import Tree
from tests.databases.trees import assert_equal, without_publications, without_stream

DATABASES = sorted(path.stem for path in (HERE / "sql").glob("*.sql"))
US, EU = "us-east-1", "eu-west-1"


@pytest.mark.parametrize(
    ("name", "strategy"),
    [
        pytest.param(
            name, strategy, marks=[] if (strategy == Strategy.SNAPSHOT) == (name == "objects") else pytest.mark.slow
        )
        for name in DATABASES
        for strategy in (Strategy.LIVE, Strategy.SNAPSHOT)
    ],
)
def test_it_comes_out_equal_goes_back_equal_and_leaves_nothing(
    build: Callable[[str], Built], name: str, strategy: Strategy
) -> None:
    built = build(name)
    us, eu = built.at(US), built.at(EU)
    us_cluster, eu_cluster = snapshot.cluster(us), snapshot.cluster(eu)
    untouched = snapshot.database(us)
    before = snapshot.database(us, refreshed=True)

    move = completed(moved(built.app, EU, strategy=strategy))
    at_eu = snapshot.database(eu)
    assert_equal(as_moved(before), as_moved(at_eu), "moved")
    assert_equal(roles(us_cluster, built), roles(snapshot.cluster(eu), built), "roles")

    built.write(EU)
    before = snapshot.database(eu, refreshed=True)
    back = completed(reversed_(move))
    at_us = snapshot.database(us)
    assert_equal(as_moved(before), as_moved(at_us), "reversed")
    assert_equal(untouched["pg_publication"], without_stream(at_us)["pg_publication"], "publications")

    torn_down(back)
    assert_equal(eu_cluster, snapshot.cluster(eu), "cluster torn down")
    assert_equal(us_cluster, snapshot.cluster(us), "cluster moved from and back to")
    at_us = snapshot.database(us)
    assert_equal(untouched["replica identity"], at_us["replica identity"], "replica identity")
    assert_equal(
        as_moved(at_us),
        {key: value for key, value in without_publications(at_us).items() if key != "replica identity"},
        "what the stream left",
    )


def test_a_region_left_for_good_has_nothing_of_it_but_its_roles(build: Callable[[str], Built]) -> None:
    built = build("access")
    us, eu = built.at(US), built.at(EU)
    before, untouched = snapshot.cluster(us), snapshot.database(us)
    move = completed(moved(built.app, EU))
    torn_down(move)
    after = snapshot.cluster(us)
    del before["databases"]["access"]
    # Its own subscription went with the database.
    before["settings"] = before["subscriptions"] = before["origins"] = {}
    assert_equal(before, after, "torn down")
    assert_equal(untouched["replica identity"], snapshot.database(eu)["replica identity"], "replica identity")
    assert not snapshot.cluster(eu)["slots"]


def test_a_login_is_kept_while_something_needs_a_group_it_is_in(build: Callable[[str], Built]) -> None:
    built = build("access")
    with cluster_of(built.regions[US], "access").admin() as admin:
        assert not roles_of_product.drop(admin, "access_app")
        assert roles_of_product.drop(admin, "access_app", made_just_now=True)


def completed(move: AppMigration) -> AppMigration:
    assert move.status == Status.COMPLETED, f"{move.current_step}: {move.last_error}"
    return move


def as_moved(database: Tree) -> Tree:
    return without_publications(without_stream(database))


def roles(cluster: Tree, built: Built) -> Tree:
    """The roles that the database brought with it: all in its own region that the test made."""
    return {
        "roles": {name: role for name, role in cluster["roles"].items() if name.startswith(built.app.database)},
        **{
            kind: {key: value for key, value in cluster[kind].items() if built.app.database in key}
            for kind in ("memberships", "role settings", "settings")
        },
    }
