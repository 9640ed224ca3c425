"""How the portal calls rclone: the flags that are always on, and what its exit status means.

Credentials come from the operator's rclone.conf (RCLONE_CONFIG), which rclone reads itself; no path may carry any.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from migrations_app.dataplane import process
from migrations_app.dataplane.process import Check, Completed, no_check
from migrations_app.errors import PermanentError, StepError, TransientError

LONG_SECONDS = 24 * 3600.0
"""Deadline of work that grows with the data. `check` ends it sooner; a stalled connection ends after --timeout."""

SHORT_SECONDS = 300.0
"""Deadline of everything that touches one object or one listing."""

OnRecord = Callable[[dict[str, Any]], None]
"""Called with each JSON log record of rclone, in a thread of its own."""

# The engine's backoff does the patient retrying. One low-level try reports a dead S3 endpoint in 3 s; two take 12 s,
# rclone's own ten take minutes.
_ALWAYS = (
    "--use-json-log",
    "--ask-password=false",
    "--retries=1",
    "--low-level-retries=1",
    "--contimeout=10s",
    "--timeout=60s",
)

_MISSING = (3, 4)  # https://rclone.org/docs/#list-of-exit-codes: directory, file not found
_PERMANENT = (2, 7)  # usage; an error that no retry resolves
_PERMANENT_REASON = re.compile(
    r"didn't find section|didn't find backend|unable to decrypt|StatusCode: 40[135]\b|AccessDenied|InvalidAccessKeyId"
    r"|SignatureDoesNotMatch|ExpiredToken|InvalidBucketName|BucketAlreadyExists|Forbidden|Unauthorized"
    r"|permission denied",
    re.IGNORECASE,
)
_QUERY_STRING = re.compile(r"\?[^\s\"]+")


class PathMissing(PermanentError):
    """The bucket, folder or file does not exist. Never raised for an answer that did not come."""

    code = "path_missing"


def run(
    args: Sequence[str],
    *paths: str,
    check: Check = no_check,
    deadline_seconds: float = SHORT_SECONDS,
    stdin: bytes = b"",
    on_record: OnRecord | None = None,
    good_exits: Sequence[int] = (0,),
) -> Completed:
    """Run `rclone args… -- paths…`; a flag in `args` outdoes one that is always on.

    Errors: PathMissing; PermanentError when rclone.conf, the remote or its rights are wrong; TransientError otherwise.
    """
    for path in paths:
        _refuse_credentials(path)

    def on_line(line: str) -> None:
        record = _record(line)
        if on_record and record:
            on_record(record)

    completed = process.run(
        ["rclone", args[0], *_ALWAYS, *args[1:], "--", *paths],
        deadline_seconds=deadline_seconds,
        stdin=stdin,
        check=check,
        on_stderr_line=on_line,
    )
    if completed.returncode not in good_exits:
        raise failure(completed, *paths)
    return completed


def failure(completed: Completed, *paths: str) -> StepError:
    """The error that a failed run of rclone on `paths` stands for; the reason is rclone's last message."""
    messages = [record.get("msg", "") for line in completed.stderr_tail.splitlines() if (record := _record(line))]
    said = [message for message in messages if message and "Elapsed time:" not in message]
    # The query string of a request may be a signature.
    reason = _QUERY_STRING.sub("?…", said[-1])[:500] if said else f"exit status {completed.returncode}"
    if completed.returncode in _MISSING:
        return PathMissing(f"{paths[0]} does not exist ({reason}).")
    if completed.returncode in _PERMANENT or _PERMANENT_REASON.search(reason):
        remotes = " and ".join(dict.fromkeys(path.partition(":")[0] if ":" in path else path for path in paths))
        return PermanentError(
            f"rclone: {reason}",
            hint=f"Check {remotes} in the rclone.conf that RCLONE_CONFIG names on the workers, and its rights.",
            code="blobs_refused",
        )
    return TransientError(f"rclone: {reason}", code="blobs_unreachable")


def _record(line: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError:
        return {"msg": line}  # rclone's first lines, before its JSON logger is on
    return record if isinstance(record, dict) else {}


def _refuse_credentials(path: str) -> None:
    """Refuse rclone's connection strings (`:s3,secret_access_key=…:b`): they would put a secret into argv."""
    remote, colon, _ = path.partition(":")
    if not path or (colon and "/" not in remote and (not remote or "," in remote)):
        raise PermanentError(
            "A blob path must name a remote of rclone.conf or be a local path, without options.",
            hint="Put the options into rclone.conf and write the path as remote:bucket.",
            code="blob_path_refused",
        )
