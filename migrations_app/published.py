"""Moves, replicas and approvals in the shapes that the API, the tools, the commands and the webhooks publish (DESIGN:
HTTP)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from migrations_app import approvals
from migrations_app.clock import database_now
from migrations_app.engine.plan import PIVOT, plan_of
from migrations_app.models import AppMigration, Approval, SourceReplica, StepRun
from migrations_app.queries import approvals_of, comments
from migrations_app.states import Direction, RunStatus, Status


def steps_of(row: AppMigration, *, logs: bool = True) -> list[dict[str, Any]]:
    """The eleven steps in the plan's order, each with its latest run: `step, state, seconds, attempts, reason, undone,
    undo (its latest run: state, reason, acts), progress (0..1 or None), details (as progress.Meter writes them, without
    the samples, or None), acts`. `state` is a RunStatus or "pending". Without `logs` acts are empty: they are long."""
    runs: dict[str, list[StepRun]] = {}
    undos: dict[str, StepRun] = {}
    kept = row.step_runs.order_by("id")
    for run in kept if logs else kept.defer("acts"):
        if run.direction == Direction.DO:
            runs.setdefault(run.step, []).append(run)
        else:
            undos[run.step] = run
    listed = []
    for step in plan_of(row.strategy):
        tries = runs.get(step, [])
        last = tries[-1] if tries else None
        undo = undos.get(step)
        listed.append(
            {
                "step": str(step),
                "pivot": step == PIVOT,
                "state": last.status if last else "pending",
                "skipped": bool(last and last.status == RunStatus.SKIPPED),
                "undone": bool(undo and undo.status == RunStatus.DONE),
                "undo": {"state": undo.status, "reason": undo.reason, "acts": undo.acts if logs else []}
                if undo
                else None,
                "attempts": len(tries),
                "started_at": last.started_at if last else None,
                "seconds": (last.ended_at - last.started_at).total_seconds() if last and last.ended_at else None,
                "progress": last.progress_done / last.progress_total
                if last and last.progress_total and last.progress_done is not None
                else None,
                "details": _without_samples(last.progress) or None if last else None,
                "reason": last.reason if last else "",
                "acts": last.acts if last and logs else [],
            }
        )
    return listed


def _without_samples(kept: dict[str, Any]) -> dict[str, Any]:
    """What is published of a run's progress: samples are for charts."""
    return {name: of for name, of in kept.items() if name != "samples"}


def describe_move(row: AppMigration) -> dict[str, Any]:
    """A move in the shape that the API and the commands publish (DESIGN: HTTP)."""
    steps = steps_of(row, logs=False)
    done = sum(step["state"] in (RunStatus.DONE, RunStatus.SKIPPED) for step in steps)
    progress = {"steps_done": done, "steps_total": len(steps), **_current_progress(row, steps)}
    return _where_it_stands(row) | {"progress": progress} | _what_became_of_it(row)


def outline_of(row: AppMigration) -> dict[str, Any]:
    """describe_move() without the progress, which takes reading its steps."""
    return _where_it_stands(row) | _what_became_of_it(row)


def _where_it_stands(row: AppMigration) -> dict[str, Any]:
    return {
        "migration_id": str(row.pk),
        "app_id": row.app.slug,
        "kind": row.kind,
        "strategy": row.strategy,
        "status": row.status,
        "current_step": row.current_step,
        "step_started_at": row.step_started_at,
    }


def _what_became_of_it(row: AppMigration) -> dict[str, Any]:
    replica = getattr(row, "source_replica", None)
    return {
        "retry_count": row.retry_count,
        "last_error": row.last_error or None,
        "source_region": row.source_region.slug,
        "dest_region": row.dest_region.slug,
        "source_replica_state": replica.state if replica else None,
        "initiated_at": row.initiated_at,
        "completed_at": row.completed_at,
    }


def _current_progress(row: AppMigration, steps: list[dict[str, Any]]) -> dict[str, Any]:
    current = next((step for step in steps if step["step"] == row.current_step), {})
    return {"current": current.get("progress"), "details": current.get("details")}


def describe_replica(replica: SourceReplica) -> dict[str, Any]:
    """A retained replica in the shape that the API and the commands publish."""
    return {
        "migration_id": str(replica.migration_id),
        "app_id": replica.app.slug,
        "source_region": replica.migration.source_region.slug,
        "dest_region": replica.migration.dest_region.slug,
        "completed_at": replica.migration.completed_at,
        "state": replica.state,
        "size_bytes": replica.size_bytes,
        "estimated_monthly_cost_usd": float(replica.estimated_monthly_cost_usd),
    }


def differences_found(row: AppMigration) -> list[dict[str, Any]]:
    """What the comparison before the pivot found unequal: `kind, name, source, dest`."""
    return [finding for finding in (row.verification or {}).get("findings", []) if not finding["equal"]]


def circumstances(row: AppMigration) -> dict[str, Any]:
    """What people on call ask besides the published shape."""
    return {
        "requested_by": row.requested_by.get_username() if row.requested_by else None,
        "reason": row.reason,
        "ticket_url": row.ticket_url or None,
        "not_before": row.not_before,
        "block_budget_seconds": row.block_budget,
        "earliest_start": approvals.earliest_start(row, database_now())
        if row.status in (Status.AWAITING_APPROVAL, Status.QUEUED)
        else None,
        "comments": [asdict(said) for said in comments(row)],
        "approvals": [describe_approval(approval) for approval in approvals_of(row)],
        "preflight": row.preflight,
        "blocked_seconds": row.blocked_seconds,
        "writes_blocked_at": row.writes_blocked_at,
        "worker": row.lease_owner or None,
        "next_try_at": row.next_try_at,
    }


def describe_approval(approval: Approval) -> dict[str, Any]:
    return {
        "act": approval.act,
        "state": approval.state,
        "fingerprint": approval.fingerprint,
        "requested_by": approval.requested_by.get_username() if approval.requested_by else None,
        "reason": approval.reason,
        "decided_by": approval.decided_by.get_username() if approval.decided_by else None,
        "decided_at": approval.decided_at,
        "comment": approval.comment or None,
        "expires_at": approval.expires_at,
    }
