"""One reconciler at a time does the work: the one whose session at the portal's database holds an advisory lock.

The lock goes with the session, whichever way that ends, so the next one takes over as soon as the leader is dead. It is
asked for anew in every round: a session that Django has opened in place of a lost one does not hold it.
"""

from __future__ import annotations

from django.db import connection

_LOCK = (0x7265636F, 0)  # 'reco' keeps clear of other advisory locks; of the audit trail's, for one

# An advisory lock counts how often it was taken: it is only taken by a session that does not hold it.
_LEAD = """
SELECT CASE WHEN EXISTS (
    SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid() AND objsubid = 2
       AND classid = %s AND objid = %s AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
) THEN true ELSE pg_try_advisory_lock(%s, %s) END
"""

# The server's side of it: a leader whose machine is gone loses the lock within 20 seconds, not two hours.
_END_SOON = "SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3"


def leads() -> bool:
    """Whether this session is the leader's now; it becomes that if nobody else is."""
    with connection.cursor() as cursor:
        cursor.execute(_LEAD, [*_LOCK, *_LOCK])
        (is_leader,) = cursor.fetchone()
        if is_leader:
            cursor.execute(_END_SOON)
    return bool(is_leader)
