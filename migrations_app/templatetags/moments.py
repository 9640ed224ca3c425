"""Times and sizes as dashboard.display writes them."""

from __future__ import annotations

from django import template
from django.utils import timezone

from migrations_app.dashboard import display

register = template.Library()
register.simple_tag(display.clock, name="clock")
register.simple_tag(lambda: display.clock(timezone.now()), name="clock_now")
register.simple_tag(display.ago, name="ago")
register.simple_tag(display.left, name="left")
register.filter("size", display.size)
