# Three images from one file: `portal` (the last one, and what `docker build .` makes), and, for an installation that
# brings its own, `postgres` and `redis`.
#
# The portal needs PostgreSQL client tools (pg_dump and its like) as new as the newest region's server. Debian 12 has 15.
# For newer ones, name in BASE_IMAGE a Debian 12 image whose package sources have them, and in PG_MAJOR the version.
#
# Where pip reaches no index during a build, put the wheels into the folder `wheels/` first:
#   pip download --require-hashes --requirement requirements-production.lock --dest wheels
# If that folder has any, they are all that is looked at.

ARG BASE_IMAGE=debian:bookworm-slim

FROM ${BASE_IMAGE} AS postgres
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends postgresql-15 \
    && rm -rf /var/lib/apt/lists/* /etc/postgresql/15 /var/lib/postgresql/15
COPY portal/deploy/serve-postgres /usr/local/bin/
ENV PATH=/usr/lib/postgresql/15/bin:$PATH
USER postgres
VOLUME /var/lib/postgresql
STOPSIGNAL SIGINT
CMD ["serve-postgres"]

FROM ${BASE_IMAGE} AS redis
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends redis-server \
    && rm -rf /var/lib/apt/lists/*
COPY portal/deploy/serve-redis /usr/local/bin/
USER redis
WORKDIR /tmp
CMD ["serve-redis"]

FROM ${BASE_IMAGE} AS packages
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
       ca-certificates python3.11 python3.11-venv
COPY requirements-production.lock wheel[s] /install/
WORKDIR /install
RUN python3.11 -m venv /opt/portal \
    && if ls ./*.whl >/dev/null 2>&1; then export PIP_NO_INDEX=1; fi \
    && /opt/portal/bin/pip install --quiet --disable-pip-version-check --no-cache-dir --no-compile \
       --find-links=/install --require-hashes --requirement requirements-production.lock

FROM ${BASE_IMAGE} AS portal
ARG PG_MAJOR=15
ARG PORTAL_UID=1000
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
       ca-certificates python3.11 postgresql-client-${PG_MAJOR} \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid ${PORTAL_UID} --create-home portal \
    && install --directory --owner=portal --mode=0700 /work
COPY --from=packages /opt/portal /opt/portal
WORKDIR /app
COPY manage.py ./
COPY migrations_app migrations_app
COPY portal portal
COPY static static
COPY templates templates
ENV PATH=/opt/portal/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PG_BIN_DIR=/usr/lib/postgresql/${PG_MAJOR}/bin \
    PGPASSFILE=/credentials/pgpass \
    RCLONE_CONFIG=/credentials/rclone.conf \
    NETRC=/credentials/netrc \
    MOVES_WEBHOOK_URLS_FILE=/credentials/webhook-urls \
    MOVES_WORK_DIR=/work
RUN python manage.py collectstatic --noinput --verbosity=0
USER portal
VOLUME /work
EXPOSE 8000
CMD ["gunicorn", "portal.wsgi", "--bind=0.0.0.0:8000", "--workers=4", "--threads=2", "--preload", "--worker-tmp-dir=/dev/shm", \
     "--no-control-socket", "--access-logfile=-"]
