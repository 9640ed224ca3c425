"""All settings, read from the environment. `docs/settings.md` says what each is for."""

from __future__ import annotations

import ipaddress
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import environ
import structlog
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent


class _Env(environ.Env):
    """Says which variable holds what cannot be read; not the value, which may be secret."""

    def get_value(self, var: str, cast: Any = None, **options: Any) -> Any:
        try:
            return super().get_value(var, cast=cast, **options)
        except ValueError:
            raise ImproperlyConfigured(f"{var} is not a value of its kind, {cast.__name__}.") from None


env = _Env()


def _deadlines(items: list[str]) -> dict[str, float]:
    """Seconds by step, from items like `requested=60`."""
    try:
        return {step.strip(): float(seconds) for step, seconds in (item.split("=") for item in items)}
    except ValueError:
        raise ImproperlyConfigured("MOVES_STEP_DEADLINES: write step=seconds, separated by commas.") from None


def _networks(items: list[str]) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    try:
        return [ipaddress.ip_network(item.strip()) for item in items]
    except ValueError as error:
        raise ImproperlyConfigured(f"MOVES_WEBHOOK_ALLOWED_NETWORKS: {error}.") from None


# -- Django ------------------------------------------------------------------------------------------------------

DEBUG = env.bool("DJANGO_DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="")
if not SECRET_KEY:
    # `manage.py check` refuses to serve with this (portal.E002); commands that need no secret still run.
    SECRET_KEY = "not-set-" + os.urandom(32).hex()
    SECRET_KEY_IS_SET = False
else:
    SECRET_KEY_IS_SET = True
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost"])
# Behind a proxy that speaks TLS and sets X-Forwarded-Proto itself.
BEHIND_TLS_PROXY = env.bool("BEHIND_TLS_PROXY", default=False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = BEHIND_TLS_PROXY
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_TLS_PROXY else None
CSRF_FAILURE_VIEW = "migrations_app.dashboard.typed.csrf_failure"
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

INSTALLED_APPS = [
    "portal.admin.PortalAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django_htmx",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "migrations_app.apps.MigrationsAppConfig",
    "portal.sandbox.apps.SandboxConfig",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "migrations_app.api.middleware.api_middleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "migrations_app.middleware.nul_middleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "migrations_app.middleware.origin_middleware",
    "migrations_app.middleware.time_zone_middleware",
    "django_htmx.middleware.HtmxMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "portal.urls"
WSGI_APPLICATION = "portal.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
DATABASE_URL_IS_SET = bool(env.str("DATABASE_URL", default=""))
DATABASES = {"default": env.db_url("DATABASE_URL", default="postgres://127.0.0.1/portal")}
# A runner has to notice within its lease that the portal's database is gone.
DATABASES["default"]["OPTIONS"] = {
    "connect_timeout": 5,
    "tcp_user_timeout": 15_000,
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    # Many small questions at once: with parallel workers the planner takes a long way for a page's 30 rows.
    "options": "-c max_parallel_workers_per_gather=0",
    "prepare_threshold": 1,  # only of statements that are written out (migrations_app/prepared.py)
    **DATABASES["default"].get("OPTIONS", {}),
}
# Seconds that one question of a page, or of a call of the API, may take at the database (portal/wsgi.py).
WEB_STATEMENT_SECONDS = env.int("WEB_STATEMENT_SECONDS", default=20)
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DATABASES["default"]["CONN_MAX_AGE"] = 60
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTHENTICATION_BACKENDS = ["migrations_app.rights.RightsAtOnce"]
SESSION_ENGINE = "portal.sessions"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "portal.static_files.RememberedAddresses"},
}
WHITENOISE_USE_FINDERS = True
LOGIN_URL = "admin:login"
# Everything comes from the portal itself, and nothing is written into the page: no inline script or style, no eval.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],  # the admin's style sheets carry small pictures
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
    }
}
X_FRAME_OPTIONS = "DENY"

# -- Redis: the bell ---------------------------------------------------------------------------------------------

REDIS_URL = env.str("REDIS_URL", default="redis://127.0.0.1:6379/0")

# -- Approval ----------------------------------------------------------------------------------------------------

# Kinds of acts that need a second person: any of move, reverse, abort, retry, teardown.
MOVES_FOUR_EYES = frozenset(env.list("MOVES_FOUR_EYES", default=["move", "teardown"]))
# Whether that counts for what a token asks for as well; else it is done at once.
MOVES_TOKENS_FOUR_EYES = env.bool("MOVES_TOKENS_FOUR_EYES", default=True)
# Hours until a request that nobody decided on expires, and until an approval does whose move could have begun.
MOVES_REQUEST_HOURS = env.float("MOVES_REQUEST_HOURS", default=24.0)
MOVES_APPROVAL_HOURS = env.float("MOVES_APPROVAL_HOURS", default=24.0)

# -- Moves -------------------------------------------------------------------------------------------------------

# Folder for dumps and manifests; on shared storage where a region has several worker machines.
MOVES_WORK_DIR = Path(env.str("MOVES_WORK_DIR", default=str(BASE_DIR / "work")))
# Admin URLs of the Caddy instances that serve the apps' host names, and their public addresses in the same order.
EDGE_ADMIN_URLS = env.list("EDGE_ADMIN_URLS", default=[])
EDGE_PUBLIC_URLS = env.list("EDGE_PUBLIC_URLS", default=[])
# Folder of pg_dump, pg_restore and psql; their version must be that of the newest region or newer.
PG_BIN_DIR = env.str("PG_BIN_DIR", default=str(Path(shutil.which("pg_dump") or "/usr/bin/pg_dump").parent))
# Parallel jobs of pg_dump and pg_restore.
MOVES_COPY_JOBS = env.int("MOVES_COPY_JOBS", default=max(2, min(8, os.cpu_count() or 2)))
# Seconds that open write transactions get to finish once the fence is up; then they are ended.
MOVES_WRITER_GRACE_SECONDS = env.float("MOVES_WRITER_GRACE_SECONDS", default=10.0)
# Seconds that writes may stay blocked before the pivot; past it the move aborts itself. Per strategy.
MOVES_BLOCK_BUDGET_SECONDS = {
    "snapshot": env.int("MOVES_BLOCK_BUDGET_SNAPSHOT_SECONDS", default=3600),
    "live": env.int("MOVES_BLOCK_BUDGET_LIVE_SECONDS", default=30),
    "reverse": env.int("MOVES_BLOCK_BUDGET_REVERSE_SECONDS", default=600),
    "rehearsal": 0,  # it never blocks any
}
# Bytes that a live move may have to copy while writes are blocked, because no stream carries them.
MOVES_LIVE_IN_BLOCK_BYTES = env.int("MOVES_LIVE_IN_BLOCK_BYTES", default=64 * 10**6)
# Seconds a destination's health check may take to turn green.
MOVES_HEALTH_SECONDS = env.float("MOVES_HEALTH_SECONDS", default=60.0)
# Seconds the destination may need to apply what was written before the fence.
MOVES_DRAIN_SECONDS = env.float("MOVES_DRAIN_SECONDS", default=120.0)
# Live plan: seconds that a slot may wait for write transactions that are open in the source's cluster.
MOVES_SLOT_SECONDS = env.float("MOVES_SLOT_SECONDS", default=300.0)
# Live plan: how far behind the destination may be when writes are blocked, and seconds without coming nearer to that.
MOVES_LIVE_LAG_BYTES = env.int("MOVES_LIVE_LAG_BYTES", default=16 * 10**6)
MOVES_LIVE_CATCH_UP_SECONDS = env.float("MOVES_LIVE_CATCH_UP_SECONDS", default=300.0)
# How much of the rows a comparison reads: full, sample or schema; and how old, in seconds, a green one may be at the
# pivot.
MOVES_VERIFICATION_DEPTH = env.str("MOVES_VERIFICATION_DEPTH", default="full")
if MOVES_VERIFICATION_DEPTH not in ("full", "sample", "schema"):
    raise ImproperlyConfigured("MOVES_VERIFICATION_DEPTH: full, sample or schema.")
MOVES_VERIFICATION_MAX_AGE_SECONDS = env.float("MOVES_VERIFICATION_MAX_AGE_SECONDS", default=3600.0)
# Seconds that one try of a step may take, or its undoing; past it the try has failed for a passing reason. `any` is for
# all that are not named; what reads or writes all data takes its time.
MOVES_STEP_DEADLINES = {
    "any": 300.0,
    "copying_runtime": 3600.0,
    **dict.fromkeys(
        ["dumping_data", "restoring_data", "copying_blobs", "blocking_writes", "flipping_routing"], 24 * 3600.0
    ),
    **_deadlines(env.list("MOVES_STEP_DEADLINES", default=[])),
}
# How often a step that fails for a passing reason is tried, and the longest pause between two tries, in seconds.
MOVES_STEP_TRIES = env.int("MOVES_STEP_TRIES", default=5)
MOVES_BACKOFF_MAX_SECONDS = env.float("MOVES_BACKOFF_MAX_SECONDS", default=16.0)
# A runner's lease, and how often it renews it and looks whether somebody wants the move aborted, in seconds.
MOVES_LEASE_SECONDS = env.float("MOVES_LEASE_SECONDS", default=30.0)
MOVES_BEAT_SECONDS = env.float("MOVES_BEAT_SECONDS", default=5.0)
# Seconds that a worker which is to stop goes on while writes are blocked; then it hands its move back all the same.
MOVES_STOP_GRACE_SECONDS = env.float("MOVES_STOP_GRACE_SECONDS", default=60.0)
# Pause between two rounds of the reconciler, in seconds.
MOVES_RECONCILE_SECONDS = env.float("MOVES_RECONCILE_SECONDS", default=2.0)

# -- Watch and alarms --------------------------------------------------------------------------------------------

# Pause between two looks at the retained replicas, in seconds.
MOVES_WATCH_SECONDS = env.float("MOVES_WATCH_SECONDS", default=15.0)
# Seconds that something may be due without a worker, or the reconciler be silent, before that is an alarm.
MOVES_ALARM_SECONDS = env.float("MOVES_ALARM_SECONDS", default=30.0)
# How far a replica may be behind, and how much WAL may be kept for it where the region sets no limit itself.
MOVES_REPLICA_LAG_SECONDS = env.float("MOVES_REPLICA_LAG_SECONDS", default=300.0)
MOVES_REPLICA_LAG_BYTES = env.int("MOVES_REPLICA_LAG_BYTES", default=10**9)
MOVES_REPLICA_WAL_BYTES = env.int("MOVES_REPLICA_WAL_BYTES", default=10 * 10**9)
# Days after which somebody looks whether a replica is still needed; past them that is an alarm.
MOVES_REPLICA_REVIEW_DAYS = env.int("MOVES_REPLICA_REVIEW_DAYS", default=14)

# How old, in seconds, what the overview shows to all alike may be, and what lists can be filtered by; 0: never older
# than the request.
MOVES_OVERVIEW_SECONDS = env.float("MOVES_OVERVIEW_SECONDS", default=1.0)

# -- Tokens ------------------------------------------------------------------------------------------------------

# Days until a token expires, at most.
MOVES_TOKEN_DAYS = env.int("MOVES_TOKEN_DAYS", default=365)
# How many requests a token may make to the API in a minute.
MOVES_TOKEN_REQUESTS_PER_MINUTE = env.int("MOVES_TOKEN_REQUESTS_PER_MINUTE", default=600)

# -- Webhooks and mail -------------------------------------------------------------------------------------------

# Where people reach the portal, for links in what is sent; empty: no links.
MOVES_PUBLIC_URL = env.str("MOVES_PUBLIC_URL", default="").rstrip("/")
# What the keys that sign webhooks are derived from, one for each subscription.
MOVES_WEBHOOK_KEY = env.str("MOVES_WEBHOOK_KEY", default="")
# File of `name = URL`: the URLs that are secrets themselves, which subscriptions name.
MOVES_WEBHOOK_URLS_FILE = env.str("MOVES_WEBHOOK_URLS_FILE", default="")
# Addresses that are not public and may be posted to all the same, and by plain http.
MOVES_WEBHOOK_ALLOWED_NETWORKS = _networks(env.list("MOVES_WEBHOOK_ALLOWED_NETWORKS", default=[]))
# Pause between two looks into the outbox, in seconds; and how many days what was sent, or given up, is kept.
MOVES_DELIVER_SECONDS = env.float("MOVES_DELIVER_SECONDS", default=2.0)
MOVES_DELIVERIES_DAYS = env.int("MOVES_DELIVERIES_DAYS", default=30)
# The mail server, e.g. smtp+tls://user:password@mail.example.com:587, and whom mail is from.
_EMAIL_URL = env.str("EMAIL_URL", default="")
EMAIL_IS_SET = bool(_EMAIL_URL)
globals().update(environ.Env.email_url_config(_EMAIL_URL or "dummymail://"))
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.str("EMAIL_FROM", default="") or "region-moves@localhost"

# -- Logs --------------------------------------------------------------------------------------------------------

# What a page fails on; Django's own would only be mailed.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"stderr": {"class": "logging.StreamHandler"}},
    "loggers": {
        "django": {"handlers": ["stderr"], "level": "ERROR"},
        "rq": {"handlers": ["stderr"], "level": "WARNING"},
    },
}
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"]),
    ],
    # Standard output is for what a command answers.
    logger_factory=lambda *args: structlog.PrintLogger(sys.stderr),
)
