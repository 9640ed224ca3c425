"""Every row of every catalog that describes an object, what it says by number put into words."""

from __future__ import annotations

from typing import Any

import psycopg

from tests.databases.reading import EXPLODED, Tree, dicts, fetch

# Numbers of this one cluster, hints, statistics, or described in words elsewhere.
_LEFT_OUT = {
    "pg_class": "relfilenode relpages reltuples relallvisible relallfrozen relfrozenxid relminmxid reltoastrelid "
    "relhasindex relhasrules relhastriggers relhassubclass relrewrite relnatts relreplident",
    "pg_attribute": "attnum attcacheoff attmissingval atthasmissing attndims attlen attalign attbyval",
    "pg_attrdef": "adnum",
    "pg_constraint": "conkey confkey confdelsetcols",
    "pg_enum": "oid enumtypid enumsortorder enumlabel",
    "pg_index": "indkey indnatts indnkeyatts indcheckxmin indisreplident",
    "pg_partitioned_table": "partattrs",
    "pg_statistic_ext": "stxkeys",
    "pg_trigger": "tgattr tgqual",
    "pg_publication_rel": "prattrs",
    "pg_largeobject_metadata": "",
}

_IN_WORDS = {
    ("pg_attrdef", "adbin"): "pg_get_expr(adbin, adrelid)",
    ("pg_class", "relpartbound"): "pg_get_expr(relpartbound, oid)",
    ("pg_collation", "collencoding"): "NULL",  # one made from "C" holds for every encoding, restored for this one
    ("pg_constraint", "conbin"): "pg_get_constraintdef(oid)",
    ("pg_constraint", "connoinherit"): "contype IN ('c', 'n') AND connoinherit",  # of a partition's key: history
    ("pg_index", "indexprs"): "pg_get_indexdef(indexrelid)",
    ("pg_index", "indpred"): "pg_get_expr(indpred, indrelid)",
    ("pg_partitioned_table", "partexprs"): "pg_get_partkeydef(partrelid)",
    ("pg_policy", "polqual"): "pg_get_expr(polqual, polrelid)",
    ("pg_policy", "polwithcheck"): "pg_get_expr(polwithcheck, polrelid)",
    ("pg_policy", "polroles"): "ARRAY(SELECT CASE r WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(r) END "
    "FROM unnest(polroles) r ORDER BY 1)",
    ("pg_proc", "proargdefaults"): "pg_get_function_arguments(oid)",
    ("pg_proc", "prosqlbody"): "pg_get_function_sqlbody(oid)",
    ("pg_publication_rel", "prqual"): "pg_get_expr(prqual, prrelid)",
    ("pg_rewrite", "ev_action"): "pg_get_ruledef(oid, true)",
    ("pg_rewrite", "ev_qual"): "NULL",
    ("pg_statistic_ext", "stxexprs"): "pg_get_statisticsobjdef(oid)",
    ("pg_trigger", "tgargs"): "pg_get_triggerdef(oid)",
    ("pg_type", "typdefaultbin"): "typdefault",
    ("pg_user_mapping", "umuser"): "CASE umuser WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(umuser) END",
    ("pg_default_acl", "defaclacl"): None,
    ("pg_extension", "extconfig"): "ARRAY(SELECT c::regclass::text FROM unnest(extconfig) c)",
}

# What is read of each catalog: its own key, and which rows.
_USER = "{catalog}.oid >= 16384"
CATALOGS = {
    "pg_aggregate": ("aggfnoid", "aggfnoid >= 16384"),
    "pg_am": ("oid", _USER),
    "pg_amop": ("oid", _USER),
    "pg_amproc": ("oid", _USER),
    "pg_attrdef": ("oid", _USER),
    "pg_attribute": ("", "attrelid >= 16384 AND attnum > 0 AND NOT attisdropped AND {toast}"),
    "pg_cast": ("oid", _USER),
    "pg_class": ("oid", _USER + " AND relnamespace <> 'pg_toast'::regnamespace"),
    "pg_collation": ("oid", _USER),
    "pg_constraint": ("oid", _USER),
    "pg_conversion": ("oid", _USER),
    "pg_default_acl": ("oid", "true"),
    "pg_event_trigger": ("oid", "true"),
    "pg_extension": ("oid", "true"),
    "pg_foreign_data_wrapper": ("oid", "true"),
    "pg_foreign_server": ("oid", "true"),
    "pg_foreign_table": ("ftrelid", "true"),
    "pg_index": (
        "indexrelid",
        "indexrelid >= 16384 AND indrelid NOT IN "
        "(SELECT oid FROM pg_class WHERE relnamespace = 'pg_toast'::regnamespace)",
    ),
    "pg_inherits": ("inhrelid", "true"),
    "pg_language": ("oid", "true"),
    "pg_largeobject_metadata": ("oid", "true"),
    "pg_namespace": ("oid", "(oid >= 16384 AND nspname !~ '^pg_(toast_)?temp_') OR nspname = 'public'"),
    "pg_opclass": ("oid", _USER),
    "pg_operator": ("oid", _USER),
    "pg_opfamily": ("oid", _USER),
    "pg_partitioned_table": ("partrelid", "true"),
    "pg_policy": ("oid", "true"),
    "pg_proc": ("oid", _USER),
    "pg_publication": ("oid", "true"),
    "pg_publication_namespace": ("oid", "true"),
    "pg_publication_rel": ("oid", "true"),
    "pg_range": ("rngtypid", "rngtypid >= 16384"),
    "pg_rewrite": ("oid", _USER),
    "pg_sequence": ("seqrelid", "seqrelid >= 16384"),
    "pg_statistic_ext": ("oid", "true"),
    "pg_transform": ("oid", _USER),
    "pg_trigger": ("oid", _USER + " AND NOT tgisinternal"),
    "pg_ts_config": ("oid", _USER),
    "pg_ts_config_map": ("", "mapcfg >= 16384"),
    "pg_ts_dict": ("oid", _USER),
    "pg_ts_parser": ("oid", _USER),
    "pg_ts_template": ("oid", _USER),
    "pg_type": ("oid", _USER + " AND typnamespace <> 'pg_toast'::regnamespace"),
    "pg_user_mapping": ("oid", "true"),
}
_KEYS = {
    "pg_largeobject_metadata": "oid::text",
    "pg_attribute": "attrelid::regclass::text || '.' || attname",
    "pg_ts_config_map": "mapcfg::regconfig::text || ' ' || maptokentype || ' ' || mapseqno",
}

# The kind of object, as acldefault() calls it, and the owner's column.
_ACLS = {
    "pg_attribute": ("attacl", "'c'", "10"),
    "pg_class": ("relacl", "CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::\"char\"", "relowner"),
    "pg_foreign_data_wrapper": ("fdwacl", "'F'", "fdwowner"),
    "pg_foreign_server": ("srvacl", "'S'", "srvowner"),
    "pg_language": ("lanacl", "'l'", "lanowner"),
    "pg_largeobject_metadata": ("lomacl", "'L'", "lomowner"),
    "pg_namespace": ("nspacl", "'n'", "nspowner"),
    "pg_proc": ("proacl", "'f'", "proowner"),
    "pg_type": ("typacl", "'T'", "typowner"),
}


def read(connection: psycopg.Connection[Any], catalog: str) -> Tree:
    key, where = CATALOGS[catalog]
    left_out = _LEFT_OUT.get(catalog, "").split()
    references = _references(connection)
    chosen = []
    for column, kind in fetch(
        connection,
        "SELECT attname, atttypid::regtype::text FROM pg_attribute WHERE attrelid = "
        f"'{catalog}'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
    ):
        if column in left_out or column == "oid":
            continue
        chosen.append(f"{_expression(catalog, column, kind, references)} AS {column}")
    words = _KEYS.get(catalog) or (
        _identity("pg_class", "inhrelid") + " || ' of ' || inhparent::regclass::text"
        if catalog == "pg_inherits"
        else _identity(
            "pg_class"
            if key not in ("oid", "aggfnoid", "rngtypid")
            else {"aggfnoid": "pg_proc", "rngtypid": "pg_type"}.get(key, catalog),
            key,
        )
    )
    query = f"SELECT {words} AS key, {', '.join(chosen)} FROM {catalog} WHERE " + where.format(
        catalog=catalog,
        toast="attrelid NOT IN (SELECT oid FROM pg_class WHERE relnamespace = 'pg_toast'::regnamespace "
        "OR relkind = 'i' OR relkind = 'I')",
    )
    tree: Tree = {}
    for row in dicts(connection, query):
        name = row.pop("key")
        assert name not in tree, f"{catalog} names two objects {name}"
        tree[name] = row
    return tree


def _expression(catalog: str, column: str, kind: str, references: dict[tuple[str, str], tuple[str, bool]]) -> str:
    if (catalog, column) in _IN_WORDS:
        return _IN_WORDS[catalog, column] or EXPLODED.format(acl=column)
    if _ACLS.get(catalog, ("",))[0] == column:
        _, letter, owner = _ACLS[catalog]
        return EXPLODED.format(acl=f"coalesce({column}, acldefault({letter}, {owner}))")
    if column.endswith("options") and kind == "text[]":
        return f"ARRAY(SELECT o FROM unnest({column}) o ORDER BY 1)"
    if (catalog, column) in references:
        target, is_array = references[catalog, column]
        if is_array:
            numbered = f"unnest({column}::oid[]) WITH ORDINALITY AS u(e, n)"
            return f"ARRAY(SELECT {_identity(target, 'e')} FROM {numbered} ORDER BY n)"
        return _identity(target, column)
    return f"{column}::text"


def _identity(catalog: str, column: str) -> str:
    return f"(SELECT (pg_identify_object('{catalog}'::regclass, {column}::oid, 0)).identity)"


_references_known: dict[tuple[str, str], tuple[str, bool]] = {}


def _references(connection: psycopg.Connection[Any]) -> dict[tuple[str, str], tuple[str, bool]]:
    if not _references_known:
        for table, columns, target, is_array in fetch(
            connection,
            "SELECT fktable::text, fkcols[1], pktable::text, is_array FROM pg_get_catalog_foreign_keys() "
            "WHERE pkcols = ARRAY['oid'] AND cardinality(fkcols) = 1",
        ):
            _references_known[table.removeprefix("pg_catalog."), columns] = (
                target.removeprefix("pg_catalog."),
                is_array,
            )
    return _references_known
