"""What names that come from people may look like (DESIGN: Names and credentials)."""

from __future__ import annotations

from zoneinfo import available_timezones

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator

SLUG = r"^[a-z][a-z0-9-]{0,39}$"
IDENTIFIER = r"^[a-z][a-z0-9_]{0,62}$"
HOSTNAME = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$"

slug = RegexValidator(SLUG, "Use 1 to 40 of a-z, 0-9 and '-', beginning with a letter.")
identifier = RegexValidator(IDENTIFIER, "Use 1 to 63 of a-z, 0-9 and '_', beginning with a letter.")
hostname = RegexValidator(HOSTNAME, "Use a host name such as shop.example.com, in lower case, without port or path.")


def time_zone(name: str) -> None:
    if name not in available_timezones():
        raise ValidationError(f"There is no time zone {name}. Use a name such as Europe/Berlin or UTC.")
