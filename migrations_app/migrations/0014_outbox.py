"""Subscriptions and the outbox. Whoever looks at alarms sees them; who adds regions edits subscriptions, who retries moves
sends deliveries again."""

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
import migrations_app.models.subscription
import uuid
from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations, models


GIVEN_TO_WHO_HAS = {
    "view_alarm": ["view_subscription", "view_outboxmessage"],
    "add_region": ["add_subscription", "change_subscription"],
    "retry_move": ["resend_message"],
}


def give_to_roles(apps, schema_editor):
    """Roles as somebody may have changed them since keep what they have: this comes on top."""
    create_permissions(installed.get_app_config("migrations_app"), apps=apps, verbosity=0)
    ours = apps.get_model("auth", "Permission").objects.filter(content_type__app_label="migrations_app")
    for has, given in GIVEN_TO_WHO_HAS.items():
        for group in apps.get_model("auth", "Group").objects.filter(permissions__codename=has):
            group.permissions.add(*ours.filter(codename__in=given))


class Migration(migrations.Migration):

    dependencies = [
        ('auth', '0012_alter_user_first_name_max_length'),
        ('migrations_app', '0013_idempotency'),
        ('contenttypes', '0002_remove_content_type_name'),
    ]

    operations = [
        migrations.AlterField(
            model_name='alarm',
            name='code',
            field=models.CharField(choices=[('redis_away', 'redis_away'), ('no_worker', 'no_worker'), ('region_away', 'region_away'), ('slot_lost', 'slot_lost'), ('replica_stopped', 'replica_stopped'), ('replica_drifted', 'replica_drifted'), ('wal_piles_up', 'wal_piles_up'), ('replica_lags', 'replica_lags'), ('replica_overdue', 'replica_overdue'), ('delivery_dead', 'delivery_dead'), ('deliveries_wait', 'deliveries_wait')], max_length=20),
        ),
        migrations.CreateModel(
            name='Subscription',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=60, unique=True)),
                ('channel', models.CharField(choices=[('webhook', 'Webhook'), ('slack', 'Slack, or what takes its JSON'), ('mail', 'Mail')], max_length=10)),
                ('target', models.CharField(help_text='Webhook: a URL, or the name of one in MOVES_WEBHOOK_URLS_FILE. Slack: such a name, as the URL is a secret. Mail: one address, which may be that of a list.', max_length=500)),
                ('events', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=40), default=migrations_app.models.subscription.every_transition, size=None)),
                ('enabled', models.BooleanField(default=True, help_text='Off: nothing is sent, and what waits to be sent is given up.')),
                ('key_version', models.PositiveIntegerField(default=1, editable=False)),
                ('key_rotated_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('team', models.ForeignKey(blank=True, help_text='Whose apps it is about; empty: those of every team, and those without one.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='subscriptions', to='auth.group')),
            ],
            options={
                'ordering': ['name'],
            },
        ),
        migrations.CreateModel(
            name='OutboxMessage',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.UUIDField(default=uuid.uuid4, editable=False, help_text='Webhook-Id: one for all tries.', unique=True)),
                ('type', models.CharField(help_text='As in event_types.py.', max_length=40, verbose_name='event')),
                ('payload', models.JSONField(blank=True, help_text='What is said; made at the first try, then the same.', null=True)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('attempts', models.PositiveIntegerField(default=0, help_text='Those that have begun.', verbose_name='tries')),
                ('next_try_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='next try')),
                ('leased_until', models.DateTimeField(blank=True, help_text='Until then one sender has it.', null=True)),
                ('give_up_at', models.DateTimeField(blank=True, help_text='A day after the first try.', null=True)),
                ('sent_at', models.DateTimeField(blank=True, null=True, verbose_name='sent')),
                ('dead_at', models.DateTimeField(blank=True, help_text='Given up, until somebody sends it again.', null=True, verbose_name='dead')),
                ('last_status', models.PositiveSmallIntegerField(blank=True, null=True, verbose_name='last HTTP status')),
                ('last_error', models.TextField(blank=True)),
                ('event', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='messages', to='migrations_app.auditevent')),
                ('migration', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='messages', to='migrations_app.appmigration', verbose_name='move')),
                ('subscription', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='messages', to='migrations_app.subscription')),
            ],
            options={
                'verbose_name': 'delivery',
                'verbose_name_plural': 'deliveries',
                'ordering': ['-id'],
                'permissions': [('resend_message', 'Can send a dead delivery again')],
            },
        ),
        migrations.AddConstraint(
            model_name='subscription',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('channel__in', ['webhook', 'slack']), _negated=True), models.Q(('target__regex', '://[^/]*@|[?#]|/(?=[A-Za-z_-]*[0-9A-Z])[A-Za-z0-9_-]{20,}(/|$)'), _negated=True), _connector='OR'), name='subscription_target_without_secrets', violation_error_message='Leave logins, tokens and queries out of the URL; name it in MOVES_WEBHOOK_URLS_FILE instead.'),
        ),
        migrations.AddConstraint(
            model_name='subscription',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('channel', 'slack'), _negated=True), models.Q(('target__contains', '/'), _negated=True), _connector='OR'), name='subscription_to_slack_by_name', violation_error_message='The URL of a Slack webhook is a secret: name it in MOVES_WEBHOOK_URLS_FILE.'),
        ),
        migrations.AddIndex(
            model_name='outboxmessage',
            index=models.Index(condition=models.Q(('dead_at__isnull', True), ('sent_at__isnull', True)), fields=['subscription', 'migration', 'id'], name='messages_pending'),
        ),
        migrations.AddIndex(
            model_name='outboxmessage',
            index=models.Index(condition=models.Q(('dead_at__isnull', False)), fields=['dead_at'], name='messages_dead'),
        ),
        migrations.AddIndex(
            model_name='outboxmessage',
            index=models.Index(fields=['created_at'], name='messages_by_time'),
        ),
        migrations.AddConstraint(
            model_name='outboxmessage',
            constraint=models.UniqueConstraint(fields=('event', 'subscription'), name='event_told_once_per_subscription'),
        ),
        migrations.AddConstraint(
            model_name='outboxmessage',
            constraint=models.CheckConstraint(condition=models.Q(('sent_at__isnull', True), ('dead_at__isnull', True), _connector='OR'), name='message_sent_or_dead'),
        ),
        migrations.RunPython(give_to_roles, migrations.RunPython.noop),
    ]
