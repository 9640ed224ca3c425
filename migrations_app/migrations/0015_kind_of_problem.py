"""Of which kind a replica's problem is. What is wrong with those of before, the reconciler says when it looks next."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("migrations_app", "0014_outbox"),
    ]

    operations = [
        migrations.AddField(
            model_name="sourcereplica",
            name="problem_code",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                editable=False,
                help_text="Of which kind that is: the code of its alarm.",
                max_length=20,
            ),
        ),
    ]
