"""Alarms, the reconciler's heartbeat, and what its watch sees of a replica. Whoever looks at replicas sees alarms."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations, models


def let_roles_see_alarms(apps, schema_editor):
    """Roles as somebody may have changed them since keep what they have: alarms come on top."""
    create_permissions(installed.get_app_config("migrations_app"), apps=apps, verbosity=0)
    permission_model = apps.get_model("auth", "Permission")
    see = permission_model.objects.get(codename="view_alarm", content_type__app_label="migrations_app")
    for group in apps.get_model("auth", "Group").objects.filter(permissions__codename="view_sourcereplica"):
        group.permissions.add(see)


class Migration(migrations.Migration):

    dependencies = [
        ('migrations_app', '0006_block_budget'),
        ('auth', '0012_alter_user_first_name_max_length'),
        ('contenttypes', '0002_remove_content_type_name'),
    ]

    operations = [
        migrations.CreateModel(
            name='Heartbeat',
            fields=[
                ('name', models.CharField(max_length=40, primary_key=True, serialize=False)),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
        ),
        migrations.AddField(
            model_name='sourcereplica',
            name='apply_errors',
            field=models.BigIntegerField(default=0, editable=False, help_text='As its region counts them.'),
        ),
        migrations.AddField(
            model_name='sourcereplica',
            name='lag_bytes',
            field=models.BigIntegerField(blank=True, help_text='WAL that it has not confirmed yet.', null=True),
        ),
        migrations.AddField(
            model_name='sourcereplica',
            name='lag_seconds',
            field=models.FloatField(blank=True, help_text='How long it is behind.', null=True),
        ),
        migrations.AddField(
            model_name='sourcereplica',
            name='mark_at',
            field=models.DateTimeField(blank=True, editable=False, help_text='When that was the newest.', null=True),
        ),
        migrations.AddField(
            model_name='sourcereplica',
            name='mark_lsn',
            field=models.CharField(blank=True, editable=False, help_text='The position it is to reach.', max_length=20),
        ),
        migrations.AddField(
            model_name='sourcereplica',
            name='problem',
            field=models.TextField(blank=True, help_text='What is wrong with it, in a sentence; empty: nothing.'),
        ),
        migrations.AddField(
            model_name='sourcereplica',
            name='retained_bytes',
            field=models.BigIntegerField(blank=True, help_text="WAL that the app's region keeps for it, on its disk.", null=True),
        ),
        migrations.AddField(
            model_name='sourcereplica',
            name='wal_status',
            field=models.CharField(blank=True, help_text='Of its slot: reserved, extended, unreserved or lost; or missing.', max_length=12),
        ),
        migrations.AddField(
            model_name='sourcereplica',
            name='watched_at',
            field=models.DateTimeField(blank=True, help_text='When these figures were read.', null=True),
        ),
        migrations.CreateModel(
            name='Alarm',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('code', models.CharField(choices=[('redis_away', 'redis_away'), ('no_worker', 'no_worker'), ('region_away', 'region_away'), ('slot_lost', 'slot_lost'), ('replica_stopped', 'replica_stopped'), ('replica_drifted', 'replica_drifted'), ('wal_piles_up', 'wal_piles_up'), ('replica_lags', 'replica_lags')], max_length=20)),
                ('about', models.CharField(help_text='E.g. queue moves-eu-west-1, region eu-west-1, replica 7.', max_length=100)),
                ('sentence', models.TextField(verbose_name='what is wrong')),
                ('hint', models.TextField(blank=True, verbose_name='what to do')),
                ('since', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('seen_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False, help_text='When it was last found to be so.')),
                ('ended_at', models.DateTimeField(blank=True, null=True)),
                ('migration', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='migrations_app.appmigration', verbose_name='move')),
                ('region', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='migrations_app.region')),
            ],
            options={
                'ordering': ['-since', '-id'],
                'constraints': [models.UniqueConstraint(condition=models.Q(('ended_at__isnull', True)), fields=('code', 'about'), name='one_open_alarm_of_a_kind')],
            },
        ),
        migrations.RunPython(let_roles_see_alarms, migrations.RunPython.noop),
    ]
