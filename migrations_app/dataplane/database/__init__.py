"""The PostgreSQL side of a move: one module per thing that is moved, fenced or kept current."""
