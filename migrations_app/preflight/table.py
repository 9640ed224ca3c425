"""Every check, with its id. Ids are stable: one that is given up is not used again. docs/preflight.md explains each."""

from __future__ import annotations

from migrations_app.preflight import access, contents, locales, parts, reach, room, servers, streams
from migrations_app.preflight.looking import Check

_SOURCE, _DEST, _DATABASE, _RIGHTS, _EDGES = "PF101", "PF102", "PF104", "PF106", "PF706"

CHECKS: tuple[Check, ...] = (
    Check(_SOURCE, reach.source_cluster),
    Check(_DEST, reach.dest_cluster),
    Check("PF103", reach.between_clusters, (_SOURCE, _DEST)),
    Check(_DATABASE, reach.source_database, (_SOURCE,), otherwise="It is there."),
    Check("PF105", reach.dest_database, (_DEST,), otherwise="Nothing is in the way."),
    Check(_RIGHTS, reach.superuser, (_SOURCE, _DEST), otherwise="It is one on both sides."),
    Check("PF107", reach.tablespaces, (_DATABASE,), otherwise="Everything is in the default tablespace."),
    # -- both servers --
    Check("PF201", servers.client_tools, (_SOURCE, _DEST)),
    Check("PF202", servers.server_versions, (_SOURCE, _DEST), otherwise="Both run the same."),
    Check("PF203", servers.live_versions, (_SOURCE, _DEST), live_only=True, otherwise="Both are new enough."),
    Check("PF204", servers.wal_level, (_SOURCE, _DEST), otherwise="logical, on both sides."),
    Check("PF205", servers.replication_slots, (_SOURCE, _DEST)),
    Check("PF206", servers.live_replication_slots, (_SOURCE,), live_only=True),
    Check("PF207", servers.apply_workers, (_SOURCE,)),
    Check("PF208", servers.live_apply_workers, (_DEST,), live_only=True),
    Check("PF209", servers.extensions, (_DATABASE, _DEST), otherwise="The destination has all of them."),
    Check("PF210", locales.locale, (_DATABASE, _DEST), otherwise="The replica has it."),
    Check("PF211", locales.collation_versions, (_DATABASE, _DEST)),
    Check("PF212", locales.collations, (_DATABASE, _DEST), otherwise="The destination has all that are used."),
    # -- what is in the database --
    Check("PF301", contents.schema, (_DATABASE,)),
    Check("PF302", contents.portal_schema, (_DATABASE,), otherwise="There is none."),
    Check("PF303", contents.partitions, (_DATABASE,)),
    Check("PF304", contents.sequences, (_DATABASE,)),
    Check("PF305", contents.large_objects, (_DATABASE,)),
    Check("PF306", contents.unlogged_tables, (_DATABASE,)),
    Check("PF307", contents.materialised_views, (_DATABASE,)),
    Check("PF308", contents.row_security, (_DATABASE,)),
    Check("PF309", contents.foreign_data, (_DATABASE,), otherwise="There is none."),
    Check("PF310", contents.event_triggers, (_DATABASE,)),
    Check("PF311", contents.own_streams, (_DATABASE,), otherwise="There are none."),
    # -- what a stream makes of it --
    Check("PF401", streams.replica_identity, (_DATABASE,), otherwise="Every table has one."),
    Check("PF402", streams.unstreamable_tables, (_DATABASE,), otherwise="There is none."),
    Check("PF403", streams.triggers, (_DATABASE,), otherwise="There are none."),
    Check("PF404", streams.live_triggers, (_DATABASE,), live_only=True, otherwise="There are none."),
    Check("PF405", streams.copied_in_block, (_DATABASE,), live_only=True),
    # -- who is there, and what is set --
    Check("PF501", access.prepared_transactions, (_SOURCE,), otherwise="None is open."),
    Check("PF502", access.long_transactions, (_SOURCE,), otherwise="None is open for so long."),
    Check("PF503", access.superuser_sessions, (_SOURCE,), otherwise="None is connected."),
    Check("PF504", access.role_conflicts, (_DATABASE, _DEST, _RIGHTS)),
    Check("PF505", access.database_settings, (_DATABASE, _DEST, _RIGHTS)),
    # -- room --
    Check("PF601", room.room_at_dest, (_DATABASE,)),
    Check("PF602", room.work_folder, (_DATABASE,), otherwise="No dump will be written on this machine."),
    # -- the app's other parts --
    Check("PF701", parts.source_blobs, otherwise="The app has no blobs."),
    Check("PF702", parts.dest_blobs, otherwise="The app has no blobs."),
    Check("PF703", parts.source_runtime, otherwise="The app has no process."),
    Check("PF704", parts.dest_runtime, otherwise="The app has no process."),
    Check("PF705", parts.health, otherwise="The app has no process."),
    Check(_EDGES, parts.edges, otherwise="The app has no host name."),
    Check("PF707", parts.edge_routes, (_EDGES,), otherwise="The app has no host name."),
)

MAY_HAVE_CHANGED = frozenset(
    {_SOURCE, _DEST, _DATABASE, _RIGHTS, "PF201", "PF204", "PF501", "PF703", "PF705", _EDGES, "PF707"}
)
"""What is looked at once more before writes are blocked; a move itself changes what the others look at."""

LIVE_ONLY = frozenset(check.id for check in CHECKS if check.live_only)
