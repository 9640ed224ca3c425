"""Comparing what snapshot.py saw, with a line for every difference."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tests.databases.reading import Tree

STREAM = re.compile(r"\bportal_[0-9a-f]{16}\b")
"""Names of what the portal makes in a region for a retained replica."""


def without_stream(tree: Tree) -> Tree:
    """Without what the portal keeps in a region while a replica is retained, which it documents."""

    def kept(branch: Any) -> Any:
        if isinstance(branch, dict):
            return {key: kept(value) for key, value in branch.items() if not STREAM.search(str(key))}
        if isinstance(branch, list):
            return [kept(value) for value in branch if not STREAM.search(str(value))]
        return branch

    return {key: kept(value) for key, value in tree.items() if key != "replica identity"}


def without_publications(tree: Tree) -> Tree:
    """Without the app's own publications, which a move does not take along."""
    left_out = {"pg_publication", "pg_publication_rel", "pg_publication_namespace"}
    comments = {key: text for key, text in tree["comments"].items() if not key.startswith("publication")}
    return {key: value for key, value in tree.items() if key not in left_out} | {"comments": comments}


def differences(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """A line for every place where the trees differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys(), key=str):
            where = f"{path} › {key}" if path else str(key)
            if key not in after:
                yield f"- {where}: {_short(before[key])}"
            elif key not in before:
                yield f"+ {where}: {_short(after[key])}"
            else:
                yield from differences(before[key], after[key], where)
    elif isinstance(before, list) and isinstance(after, list) and before != after:
        gone, new = (
            [entry for entry in here if entry not in there] for here, there in ((before, after), (after, before))
        )
        yield f"! {path}: gone {_short(gone)}, new {_short(new)}"
        if sorted(map(repr, before)) == sorted(map(repr, after)):
            yield f"! {path}: the same in another order"
    elif before != after:
        yield f"! {path}:\n      was {_short(before)}\n      is  {_short(after)}"


def assert_equal(before: Tree, after: Tree, what: str) -> None:
    found = list(differences(before, after))
    assert not found, f"{what}: {len(found)} differences\n" + "\n".join(found[:60])


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 700 else text[:700] + " …"
