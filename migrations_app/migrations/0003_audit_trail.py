"""The audit trail becomes append-only, and a chain of hashes for each move. `migrations_app/audit.py` checks the chains."""

from django.db import migrations, models

FILL = """
-- What an event's hash covers. The text of a JSON array: any program can build the same one.
CREATE FUNCTION migrations_app_audit_content(event migrations_app_auditevent) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_array(
        event.chain, event.number, event.previous_hash,
        to_char(event.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        event.actor_id, event.actor_name, event.surface, event.address, event.verb, event.target,
        event.app_id, event.migration_id, event.from_status, event.to_status, event.reason
    )::text
$$;

CREATE FUNCTION migrations_app_audit_fill() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    last record;
BEGIN
    NEW.chain := coalesce(NEW.migration_id::text, 'portal');
    -- One writer at a time for each chain; 'audt' keeps clear of other advisory locks.
    PERFORM pg_advisory_xact_lock(x'61756474'::int, hashtext(NEW.chain));
    SELECT number, hash INTO last FROM migrations_app_auditevent
        WHERE chain = NEW.chain ORDER BY number DESC LIMIT 1;
    NEW.at := clock_timestamp();
    NEW.number := coalesce(last.number, 0) + 1;
    NEW.previous_hash := coalesce(last.hash, '');
    NEW.hash := encode(sha256(convert_to(migrations_app_audit_content(NEW), 'UTF8')), 'hex');
    RETURN NEW;
END
$$;
"""

BACKFILL = """
DO $$
DECLARE
    event migrations_app_auditevent;
    last migrations_app_auditevent;
BEGIN
    FOR event IN SELECT * FROM migrations_app_auditevent ORDER BY coalesce(migration_id::text, 'portal'), id LOOP
        event.chain := coalesce(event.migration_id::text, 'portal');
        IF last.chain IS DISTINCT FROM event.chain THEN
            last.number := 0;
            last.hash := '';
        END IF;
        event.number := last.number + 1;
        event.previous_hash := last.hash;
        event.hash := encode(sha256(convert_to(migrations_app_audit_content(event), 'UTF8')), 'hex');
        UPDATE migrations_app_auditevent
            SET chain = event.chain, number = event.number, previous_hash = event.previous_hash, hash = event.hash
            WHERE id = event.id;
        last := event;
    END LOOP;
END
$$;
"""

KEEP = """
CREATE FUNCTION migrations_app_audit_refuse() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'The audit trail is append-only: % is refused.', TG_OP USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE TRIGGER audit_fill BEFORE INSERT ON migrations_app_auditevent
    FOR EACH ROW EXECUTE FUNCTION migrations_app_audit_fill();
CREATE TRIGGER audit_keep_rows BEFORE UPDATE OR DELETE ON migrations_app_auditevent
    FOR EACH ROW EXECUTE FUNCTION migrations_app_audit_refuse();
CREATE TRIGGER audit_keep_table BEFORE TRUNCATE ON migrations_app_auditevent
    FOR EACH STATEMENT EXECUTE FUNCTION migrations_app_audit_refuse();
"""


class Migration(migrations.Migration):

    dependencies = [('migrations_app', '0002_approval_roles_and_windows')]

    operations = [
        migrations.RunSQL(
            FILL,
            """
            DROP FUNCTION migrations_app_audit_fill();
            DROP FUNCTION migrations_app_audit_content(migrations_app_auditevent);
            """,
        ),
        migrations.RunSQL(BACKFILL, migrations.RunSQL.noop),
        migrations.AddConstraint(
            model_name='auditevent',
            constraint=models.UniqueConstraint(fields=('chain', 'number'), name='audit_chain_has_no_fork'),
        ),
        migrations.RunSQL(
            KEEP,
            """
            DROP TRIGGER audit_fill ON migrations_app_auditevent;
            DROP TRIGGER audit_keep_rows ON migrations_app_auditevent;
            DROP TRIGGER audit_keep_table ON migrations_app_auditevent;
            DROP FUNCTION migrations_app_audit_refuse();
            """,
        ),
    ]
