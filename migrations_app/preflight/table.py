"""Every check, with its id. Ids are stable: one that is given up is not used again. docs/preflight.md explains each."""

from __future__ import annotations

from migrations_app.preflight import access, contents, locales, parts, reach, room, servers, streams
from migrations_app.preflight.looking import Check

_SOURCE, _DEST, _DATABASE = "PF101", "PF102", "PF104"

CHECKS: tuple[Check, ...] = (
    Check(_SOURCE, reach.source_cluster),
    Check(_DEST, reach.dest_cluster),
    Check("PF103", reach.between_clusters, (_SOURCE, _DEST)),
    Check(_DATABASE, reach.source_database, (_SOURCE,)),
    Check("PF105", reach.dest_database, (_DEST,)),
    Check("PF106", reach.superuser, (_SOURCE, _DEST)),
    Check("PF107", reach.tablespaces, (_DATABASE,)),
    # -- both servers --
    Check("PF201", servers.client_tools, (_SOURCE, _DEST)),
    Check("PF202", servers.server_versions, (_SOURCE, _DEST)),
    Check("PF203", servers.live_versions, (_SOURCE, _DEST), live_only=True),
    Check("PF204", servers.wal_level, (_SOURCE, _DEST)),
    Check("PF205", servers.replication_slots, (_SOURCE, _DEST)),
    Check("PF206", servers.live_replication_slots, (_SOURCE,), live_only=True),
    Check("PF207", servers.apply_workers, (_SOURCE,)),
    Check("PF208", servers.live_apply_workers, (_DEST,), live_only=True),
    Check("PF209", servers.extensions, (_DATABASE, _DEST)),
    Check("PF210", locales.locale, (_DATABASE, _DEST)),
    Check("PF211", locales.collation_versions, (_DATABASE, _DEST)),
    Check("PF212", locales.collations, (_DATABASE, _DEST)),
    # -- what is in the database --
    Check("PF301", contents.schema, (_DATABASE,)),
    Check("PF302", contents.portal_schema, (_DATABASE,)),
    Check("PF303", contents.partitions, (_DATABASE,)),
    Check("PF304", contents.sequences, (_DATABASE,)),
    Check("PF305", contents.large_objects, (_DATABASE,)),
    Check("PF306", contents.unlogged_tables, (_DATABASE,)),
    Check("PF307", contents.materialised_views, (_DATABASE,)),
    Check("PF308", contents.row_security, (_DATABASE,)),
    Check("PF309", contents.foreign_data, (_DATABASE,)),
    Check("PF310", contents.event_triggers, (_DATABASE,)),
    Check("PF311", contents.own_streams, (_DATABASE,)),
    # -- what a stream makes of it --
    Check("PF401", streams.replica_identity, (_DATABASE,)),
    Check("PF402", streams.unstreamable_tables, (_DATABASE,)),
    Check("PF403", streams.triggers, (_DATABASE,)),
    Check("PF404", streams.live_triggers, (_DATABASE,), live_only=True),
    Check("PF405", streams.copied_in_block, (_DATABASE,), live_only=True),
    # -- who is there, and what is set --
    Check("PF501", access.prepared_transactions, (_SOURCE,)),
    Check("PF502", access.long_transactions, (_SOURCE,)),
    Check("PF503", access.superuser_sessions, (_SOURCE,)),
    Check("PF504", access.role_conflicts, (_DATABASE, _DEST)),
    Check("PF505", access.database_settings, (_DATABASE, _DEST)),
    # -- room --
    Check("PF601", room.room_at_dest, (_DATABASE,)),
    Check("PF602", room.work_folder, (_DATABASE,)),
    # -- the app's other parts --
    Check("PF701", parts.source_blobs),
    Check("PF702", parts.dest_blobs),
    Check("PF703", parts.source_runtime),
    Check("PF704", parts.dest_runtime),
    Check("PF705", parts.health),
    Check("PF706", parts.edges),
    Check("PF707", parts.edge_routes, ("PF706",)),
)

LIVE_ONLY = frozenset(check.id for check in CHECKS if check.live_only)
