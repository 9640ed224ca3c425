"""How fast a move copied, and how far its stream was behind, over time."""

from __future__ import annotations

from datetime import timedelta

from migrations_app.dashboard.charts import FEWEST, Chart, Point
from migrations_app.models import StepRun


def charts_of(runs: list[StepRun]) -> list[Chart]:
    """Of what the steps sampled while they went on (progress.Meter); none where too few did."""
    rates, lags = list[Point](), list[Point]()
    for run in runs:
        for seconds, rate, lag in run.progress.get("samples", []):
            at = run.started_at + timedelta(seconds=seconds)
            if rate is not None:
                rates.append(Point(at, rate))
            if lag is not None:
                lags.append(Point(at, lag))
    while rates and not rates[-1].value:  # it had nothing left to copy: not a rate
        rates.pop()
    return [
        chart
        for chart in (Chart("Copied", "bytes a second", rates), Chart("Behind the source", "bytes", lags))
        if len(chart.points) >= FEWEST and any(point[1] for point in chart.points)
    ]
