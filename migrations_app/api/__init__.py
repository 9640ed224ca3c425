"""The HTTP API under /v1 (docs/api.md). A request passes middleware.py, which gives every error one shape; gate.py,
which lets callers in by their token; and one call, which asks an action or a query and nothing else."""
