import django.db.models.deletion
import django.db.models.functions.datetime
import migrations_app.models.names
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('migrations_app', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Approval',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('act', models.CharField(choices=[('move', 'Move'), ('reverse', 'Reverse'), ('abort', 'Abort'), ('retry', 'Retry'), ('teardown', 'Teardown')], max_length=10)),
                ('state', models.CharField(choices=[('open', 'Open'), ('approved', 'Approved'), ('rejected', 'Rejected'), ('withdrawn', 'Withdrawn'), ('expired', 'Expired'), ('void', 'Void')], default='open', max_length=10)),
                ('subject', models.JSONField(help_text='app, regions, strategy, start time, and what preflight found.')),
                ('fingerprint', models.CharField(max_length=64)),
                ('reason', models.TextField()),
                ('requested_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('expires_at', models.DateTimeField(help_text='Open: decided on by then. Approved: begun by then.')),
                ('decided_at', models.DateTimeField(blank=True, null=True)),
                ('comment', models.TextField(blank=True)),
            ],
            options={
                'ordering': ['-id'],
            },
        ),
        migrations.AlterModelOptions(
            name='app',
            options={'ordering': ['slug'], 'permissions': [('see_every_team', 'Can see and act on the apps of every team')]},
        ),
        migrations.AlterModelOptions(
            name='appmigration',
            options={'ordering': ['-initiated_at'], 'permissions': [('request_move', 'Can request a move, and withdraw the request'), ('approve_move', 'Can approve and reject what others ask for'), ('abort_move', 'Can abort a move'), ('retry_move', 'Can let a held move go on'), ('reverse_move', 'Can reverse a move')], 'verbose_name': 'move'},
        ),
        migrations.AlterModelOptions(
            name='auditevent',
            options={'ordering': ['-id'], 'permissions': [('export_audit', 'Can export the audit trail')]},
        ),
        migrations.AlterModelOptions(
            name='sourcereplica',
            options={'ordering': ['-created_at'], 'permissions': [('teardown_replica', 'Can give a way back up')]},
        ),
        migrations.AddField(
            model_name='appmigration',
            name='preflight',
            field=models.JSONField(blank=True, default=list, help_text='What preflight found last: [{check, outcome, found, why, remedy}].'),
        ),
        migrations.AddField(
            model_name='appmigration',
            name='ticket_url',
            field=models.URLField(blank=True, verbose_name='ticket'),
        ),
        migrations.AddField(
            model_name='auditevent',
            name='actor_name',
            field=models.CharField(blank=True, help_text='As it was then.', max_length=150),
        ),
        migrations.AddField(
            model_name='auditevent',
            name='address',
            field=models.CharField(blank=True, max_length=100),
        ),
        migrations.AddField(
            model_name='auditevent',
            name='chain',
            field=models.CharField(default='', editable=False, help_text="The move's id, or portal.", max_length=40),
        ),
        migrations.AddField(
            model_name='auditevent',
            name='hash',
            field=models.CharField(default='', editable=False, max_length=64),
        ),
        migrations.AddField(
            model_name='auditevent',
            name='number',
            field=models.PositiveBigIntegerField(default=0, editable=False, help_text='In its chain, from 1.'),
        ),
        migrations.AddField(
            model_name='auditevent',
            name='previous_hash',
            field=models.CharField(blank=True, editable=False, max_length=64),
        ),
        migrations.AddField(
            model_name='auditevent',
            name='surface',
            field=models.CharField(blank=True, max_length=20),
        ),
        migrations.AddField(
            model_name='auditevent',
            name='target',
            field=models.CharField(blank=True, max_length=200),
        ),
        migrations.AddField(
            model_name='region',
            name='time_zone',
            field=models.CharField(default='UTC', help_text='Of its window, e.g. Europe/Berlin.', max_length=60, validators=[migrations_app.models.names.time_zone]),
        ),
        migrations.AddField(
            model_name='region',
            name='window_day',
            field=models.PositiveSmallIntegerField(blank=True, choices=[(0, 'Monday'), (1, 'Tuesday'), (2, 'Wednesday'), (3, 'Thursday'), (4, 'Friday'), (5, 'Saturday'), (6, 'Sunday')], help_text='Moves from and to here begin in this weekly window only; empty: at any time. Reverses do not wait.', null=True, verbose_name='maintenance window'),
        ),
        migrations.AddField(
            model_name='region',
            name='window_minutes',
            field=models.PositiveSmallIntegerField(blank=True, help_text='How long it stays open for moves to begin; 10080 are a week.', null=True),
        ),
        migrations.AddField(
            model_name='region',
            name='window_opens',
            field=models.TimeField(blank=True, help_text="In the region's time zone.", null=True),
        ),
        migrations.AddConstraint(
            model_name='region',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('window_day__isnull', True), ('window_minutes__isnull', True), ('window_opens__isnull', True)), models.Q(('window_day__isnull', False), ('window_day__range', (0, 6)), ('window_minutes__isnull', False), ('window_minutes__range', (1, 10080)), ('window_opens__isnull', False)), _connector='OR'), name='region_window_is_whole', violation_error_message='A maintenance window has a day, a time and 1 to 10080 minutes, or none.'),
        ),
        migrations.AddField(
            model_name='approval',
            name='decided_by',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='approvals_decided', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='approval',
            name='migration',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='approvals', to='migrations_app.appmigration'),
        ),
        migrations.AddField(
            model_name='approval',
            name='requested_by',
            field=models.ForeignKey(blank=True, help_text="Empty: somebody at the portal's own shell.", null=True, on_delete=django.db.models.deletion.PROTECT, related_name='approvals_requested', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddConstraint(
            model_name='approval',
            constraint=models.UniqueConstraint(condition=models.Q(('state', 'open')), fields=('migration',), name='one_open_approval_per_move'),
        ),
        migrations.AddConstraint(
            model_name='approval',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('state', 'approved'), _negated=True), ('requested_by__isnull', True), models.Q(('decided_by', models.F('requested_by')), _negated=True), _connector='OR'), name='nobody_approves_their_own'),
        ),
        migrations.AddConstraint(
            model_name='approval',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('state', 'approved'), _negated=True), ('decided_by__isnull', False), _connector='OR'), name='an_approval_has_an_approver'),
        ),
        migrations.AddConstraint(
            model_name='approval',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['approved', 'expired', 'open', 'rejected', 'void', 'withdrawn'])), name='approval_state_known'),
        ),
    ]
