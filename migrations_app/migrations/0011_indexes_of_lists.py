"""What the lists sort, filter and search by, once there are a million rows."""

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

from migrations_app.models.words import Words


class Migration(migrations.Migration):
    atomic = False  # built while the portal goes on writing

    dependencies = [
        ('migrations_app', '0010_kept_until'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='appmigration',
            index=models.Index(fields=['-initiated_at', '-id'], name='moves_by_time'),
        ),
        AddIndexConcurrently(
            model_name='appmigration',
            index=models.Index(fields=['status', '-initiated_at', '-id'], name='moves_by_status'),
        ),
        AddIndexConcurrently(
            model_name='appmigration',
            index=models.Index(fields=['app', '-initiated_at'], name='moves_of_an_app'),
        ),
        AddIndexConcurrently(
            model_name='appmigration',
            index=models.Index(condition=models.Q(('status', 'completed')), fields=['source_region', 'dest_region', 'kind', '-completed_at'], name='moves_completed_between'),
        ),
        AddIndexConcurrently(
            model_name='appmigration',
            index=GinIndex(Words('reason', 'ticket_url'), name='moves_by_words'),
        ),
        AddIndexConcurrently(
            model_name='approval',
            index=models.Index(fields=['state', '-id'], name='approvals_by_state'),
        ),
        AddIndexConcurrently(
            model_name='approval',
            index=GinIndex(Words('reason'), name='approvals_by_words'),
        ),
        AddIndexConcurrently(
            model_name='auditevent',
            index=models.Index(fields=['at'], name='events_by_time'),
        ),
        AddIndexConcurrently(
            model_name='auditevent',
            index=models.Index(fields=['verb', '-id'], name='events_by_verb'),
        ),
        AddIndexConcurrently(
            model_name='auditevent',
            index=models.Index(fields=['surface', '-id'], name='events_by_surface'),
        ),
        AddIndexConcurrently(
            model_name='auditevent',
            index=GinIndex(Words('target', 'actor_name', 'reason'), name='events_by_words'),
        ),
        AddIndexConcurrently(
            model_name='sourcereplica',
            index=models.Index(fields=['-created_at', '-id'], name='replicas_by_time'),
        ),
        AddIndexConcurrently(
            model_name='sourcereplica',
            index=models.Index(fields=['state', '-created_at', '-id'], name='replicas_by_state'),
        ),
    ]
