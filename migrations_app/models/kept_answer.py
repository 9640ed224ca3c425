from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from migrations_app.models.api_token import ApiToken

LONGEST_KEY = 200


class KeptAnswer(models.Model):
    """What a request with an `Idempotency-Key` was answered, so that the same one is answered the same again."""

    token = models.ForeignKey(ApiToken, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=LONGEST_KEY)
    request = models.CharField(max_length=64, help_text="SHA-256 of its method, address and body.")
    status = models.PositiveSmallIntegerField()
    body = models.TextField()
    kept_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["token", "key"], name="one_answer_per_key")]
        indexes = [models.Index(fields=["kept_at"], name="answers_by_time")]

    def __str__(self) -> str:
        return f"{self.status} for {self.key}"
