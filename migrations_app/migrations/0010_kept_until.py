from datetime import timedelta

from django.db import migrations, models

import migrations_app.models.source_replica


def review_two_weeks_after_it_was_left(apps, schema_editor):
    """Replicas from before anybody was asked to look at them."""
    replicas = apps.get_model("migrations_app", "SourceReplica").objects
    replicas.update(review_at=models.F("created_at") + timedelta(days=14))


class Migration(migrations.Migration):
    dependencies = [
        ("migrations_app", "0009_live"),
    ]

    operations = [
        migrations.AddField(
            model_name="sourcereplica",
            name="review_at",
            field=models.DateTimeField(
                default=migrations_app.models.source_replica.first_review,
                help_text="By then somebody looks whether it is still needed; past it that is an alarm.",
                verbose_name="keep until",
            ),
        ),
        migrations.AddField(
            model_name="sourcereplica",
            name="history",
            field=models.JSONField(
                blank=True,
                default=list,
                editable=False,
                help_text="[[time, lag_bytes, lag_seconds]], about every five minutes of the last day; null: no stream.",
            ),
        ),
        migrations.RunPython(review_two_weeks_after_it_was_left, migrations.RunPython.noop),
        migrations.AlterField(
            model_name="alarm",
            name="code",
            field=models.CharField(
                choices=[
                    ("redis_away", "redis_away"),
                    ("no_worker", "no_worker"),
                    ("region_away", "region_away"),
                    ("slot_lost", "slot_lost"),
                    ("replica_stopped", "replica_stopped"),
                    ("replica_drifted", "replica_drifted"),
                    ("wal_piles_up", "wal_piles_up"),
                    ("replica_lags", "replica_lags"),
                    ("replica_overdue", "replica_overdue"),
                ],
                max_length=20,
            ),
        ),
    ]
