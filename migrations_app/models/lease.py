from __future__ import annotations

from django.db import models


class Leased(models.Model):
    """A row that one runner at a time works on.

    Times are the database's. `fencing_token` grows by one with each claim; every write of a runner names the token it
    was given, so a late one changes nothing.
    """

    lease_owner = models.CharField(max_length=100, blank=True, editable=False)
    lease_expires_at = models.DateTimeField(null=True, blank=True, editable=False)
    fencing_token = models.PositiveBigIntegerField(default=0, editable=False)
    due_at = models.DateTimeField(null=True, blank=True, help_text="Not to be worked on before this time.")

    class Meta:
        abstract = True
