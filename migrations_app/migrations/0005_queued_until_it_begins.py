"""A move is `queued` until `requested` is done: those that walked it while `running` go back to the queue."""

from django.db import migrations, models

BACK_TO_THE_QUEUE = """
WITH not_begun AS (
    SELECT id, app_id, status FROM migrations_app_appmigration AS move
    WHERE status IN ('running', 'held') AND ends_as = '' AND pivot_at IS NULL AND NOT EXISTS (
        SELECT FROM migrations_app_steprun
        WHERE migration_id = move.id AND step = 'requested' AND direction = 'do' AND status IN ('done', 'skipped')
    )
), queued AS (
    UPDATE migrations_app_appmigration AS move SET status = 'queued', retry_count = 0, worker_deaths = 0
    FROM not_begun WHERE move.id = not_begun.id
)
INSERT INTO migrations_app_auditevent
    (at, actor_name, surface, address, verb, target, app_id, migration_id, from_status, to_status, reason,
     chain, number, previous_hash, hash)
SELECT now(), '', 'migrate', '', 'requeue', 'move ' || id, app_id, id, status, 'queued',
    'Since this version a move is queued until it begins.', '', 0, '', ''
FROM not_begun
"""


class Migration(migrations.Migration):

    dependencies = [
        ('migrations_app', '0004_roles'),
    ]

    operations = [
        migrations.RunSQL(BACK_TO_THE_QUEUE, migrations.RunSQL.noop),
        migrations.AddConstraint(
            model_name='region',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('runtime_url__iregex', '(password\\s*=)|(://[^/@]*:[^/@]*@)'), _negated=True), models.Q(('blobs__regex', '^:?[^/:]*,.*:'), _negated=True), models.Q(('runtime_path__regex', '^:?[^/:]*,.*:'), _negated=True)), name='region_addresses_without_secrets', violation_error_message="Leave keys and passwords out of addresses; they belong in rclone's own configuration and in .netrc."),
        ),
    ]
