"""The five roles, as groups. What each may do is this table; `docs/permissions.md` explains it."""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations, models

LOOK = [
    "view_region", "view_app", "view_appmigration", "view_steprun", "view_approval", "view_sourcereplica",
    "view_auditevent", "view_alarm", "view_apitoken", "view_subscription", "view_outboxmessage",
]
REQUEST = ["request_move", "abort_move", "reverse_move"]
APPROVE = ["approve_move"]
OPERATE = [
    *REQUEST, "retry_move", "teardown_replica", "add_app", "change_app", "see_every_team", "export_audit",
    "resend_message",
]
ADMINISTER = [*OPERATE, *APPROVE, "add_region", "change_region", "add_subscription", "change_subscription"]
PEOPLE = ["view_user", "add_user", "change_user", "view_group", "add_group", "change_group", "delete_group"]

ROLES = {
    "Viewer": LOOK,
    "Requester": LOOK + REQUEST,
    "Approver": LOOK + APPROVE,
    "Operator": LOOK + OPERATE,
    "Admin": LOOK + ADMINISTER + PEOPLE,
}


def establish(apps, schema_editor):
    """Make the groups. Permissions are made after all migrations, as a rule: here they are needed before."""
    for label in ("migrations_app", "auth"):
        create_permissions(installed.get_app_config(label), apps=apps, verbosity=0)
    group_model, permission_model = apps.get_model("auth", "Group"), apps.get_model("auth", "Permission")
    for role, codenames in ROLES.items():
        group, _ = group_model.objects.get_or_create(name=role)
        group.permissions.set(
            permission_model.objects.filter(
                codename__in=codenames, content_type__app_label__in=["migrations_app", "auth"]
            )
        )


def refuse_teams_named_like_a_role(apps, schema_editor):
    """A team of that name would get the role's rights, and its apps would belong to a role."""
    taken = apps.get_model("auth", "Group").objects.filter(name__in=ROLES)
    in_use = taken.filter(models.Q(user__isnull=False) | models.Q(apps__isnull=False)).distinct()
    names = ", ".join(in_use.order_by("name").values_list("name", flat=True))
    if names:
        raise RuntimeError(
            f"These groups have members or apps, and are about to become roles: {names}. "
            "Give them other names, then migrate again."
        )


class Migration(migrations.Migration):

    dependencies = [
        ('migrations_app', '0003_audit_trail'),
        ('auth', '0012_alter_user_first_name_max_length'),
        ('contenttypes', '0002_remove_content_type_name'),
    ]

    operations = [
        migrations.RunPython(refuse_teams_named_like_a_role, migrations.RunPython.noop),
        migrations.RunPython(establish, migrations.RunPython.noop),
    ]
