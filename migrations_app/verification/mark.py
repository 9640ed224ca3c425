"""A short value that changes with the schema of a database: who has compared schemas need not do so again."""

from __future__ import annotations

import hashlib

from migrations_app.dataplane.database import roles
from migrations_app.dataplane.database.connection import value
from migrations_app.dataplane.database.proof import SENTINEL_SCHEMA
from migrations_app.verification.rows import Session

_IN_SCHEMAS = {
    "pg_class": "relnamespace",
    "pg_type": "typnamespace",
    "pg_proc": "pronamespace",
    "pg_constraint": "connamespace",
    "pg_operator": "oprnamespace",
    "pg_opclass": "opcnamespace",
    "pg_opfamily": "opfnamespace",
    "pg_collation": "collnamespace",
    "pg_conversion": "connamespace",
    "pg_statistic_ext": "stxnamespace",
    "pg_ts_config": "cfgnamespace",
    "pg_ts_dict": "dictnamespace",
}
_OF_TABLES = {
    "pg_attribute": "attrelid",
    "pg_attrdef": "adrelid",
    "pg_index": "indrelid",
    "pg_trigger": "tgrelid",
    "pg_rewrite": "ev_class",
    "pg_policy": "polrelid",
    "pg_inherits": "inhrelid",
    "pg_sequence": "seqrelid",
    "pg_partitioned_table": "partrelid",
    "pg_foreign_table": "ftrelid",
}
_WHOLE = (
    "pg_namespace", "pg_enum", "pg_range", "pg_cast", "pg_language", "pg_transform", "pg_ts_config_map",
    "pg_default_acl", "pg_event_trigger", "pg_foreign_data_wrapper", "pg_foreign_server", "pg_user_mapping",
    "pg_extension", "pg_seclabel", "pg_am",
)  # fmt: skip
_OF_AGGREGATES_AND_OPERATORS = {"pg_aggregate": "aggfnoid::oid", "pg_amop": "oid", "pg_amproc": "oid"}

# What PostgreSQL changes by itself: in VACUUM, ANALYZE, TRUNCATE, and when it rewrites a table.
_OF_ITSELF = {
    "pg_class": "{relfilenode,relpages,reltuples,relallvisible,relallfrozen,relhasindex,relhasrules,relhastriggers,"
    "relfrozenxid,relminmxid}",
    "pg_attribute": "{atthasmissing,attmissingval}",
    "pg_index": "{indcheckxmin}",
}

# Of what comes with PostgreSQL itself, grants and comments.
_BUILT_IN_GRANTS = {
    "pg_class": ("oid", "relacl"),
    "pg_proc": ("oid", "proacl"),
    "pg_type": ("oid", "typacl"),
    "pg_attribute": ("attrelid", "attacl"),
}


def mark(session: Session, definition: object) -> str:
    """Of the connected database, its `definition` and the roles it needs. Of no meaning on another side.

    One query, some 20 ms, beside those for the roles.
    """
    hashed = value(session, _query(), SENTINEL_SCHEMA)
    needed = [_settled(role) for role in roles.needed_by_database(session, fenced=True)]
    return hashlib.sha256(repr((hashed, definition, needed)).encode()).hexdigest()


def _settled(role: roles.Role) -> list[object]:
    """The role with its verifier; sets in an order that is the same in every process."""
    return [sorted(part, key=repr) if isinstance(part, frozenset) else part for part in vars(role).values()]


def _query() -> str:
    parts = [
        *(_hashed(name, f"oid >= 16384 AND {schema} NOT IN (TABLE hidden)") for name, schema in _IN_SCHEMAS.items()),
        *(_hashed(name, f"{table} IN (TABLE visible)") for name, table in _OF_TABLES.items()),
        *(_hashed(name, f"{oid} >= 16384") for name, oid in _OF_AGGREGATES_AND_OPERATORS.items()),
        *(_hashed(name, "true") for name in _WHOLE if name != "pg_namespace"),
        _hashed("pg_namespace", "oid NOT IN (TABLE hidden)"),
        _hashed("pg_description", "objoid >= 16384 OR classoid = 'pg_namespace'::regclass"),
        *(
            f"SELECT 'grants of {name}', hashtextextended(({oid}, {acl})::text, 0) FROM {name} "  # noqa: S608
            f"WHERE {oid} < 16384 AND {acl} IS NOT NULL"
            for name, (oid, acl) in _BUILT_IN_GRANTS.items()
        ),
    ]
    return _HIDDEN + " UNION ALL ".join(parts) + ") hashes"


_HIDDEN = """
WITH hidden AS (
    SELECT oid FROM pg_namespace
     WHERE nspname = %s OR nspname LIKE 'pg\\_temp\\_%%' OR nspname LIKE 'pg\\_toast%%'
), visible AS (
    SELECT oid FROM pg_class WHERE oid >= 16384 AND relnamespace NOT IN (TABLE hidden)
)
SELECT sum(hashtextextended(catalog || hash, 0)::numeric)::text FROM ("""


def _hashed(name: str, where: str) -> str:
    row = f"to_jsonb(c) - '{_OF_ITSELF[name]}'::text[]" if name in _OF_ITSELF else "c"
    return f"SELECT '{name}' AS catalog, hashtextextended(({row})::text, 0) AS hash FROM {name} c WHERE {where}"  # noqa: S608
