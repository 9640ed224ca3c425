"""The statements that read a table's rows for a comparison: hashes of ranges, of single rows, and where to cut."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from migrations_app.dataplane.database.touched import Key
from migrations_app.verification.tables import KeyColumn, Shape

Digest = tuple[int, int]
"""`(rows, sum of the rows' 64-bit hashes)`; those of ranges add up to the table's."""

Range = tuple[Key | None, Key | None]
"""Keys above the first, up to and with the second; None: open."""

Session = psycopg.Connection[Any]


def digest(session: Session, shape: Shape, within: Range = (None, None)) -> Digest:
    """Count and order-free hash of the rows of one table, without those of tables that inherit from it."""
    where, params = _within(shape, within, _encoding(session))
    statement = sql.SQL("SELECT count(*), coalesce(sum({}::numeric), 0) FROM ONLY {} AS t{}").format(
        _hash(shape), _name(*shape.name), where
    )
    row = session.execute(statement, params).fetchone()
    assert row is not None  # noqa: S101 — an aggregate always has one row
    return row[0], int(row[1])


def next_cut(session: Session, shape: Shape, above: Key | None, size: int) -> Key | None:
    """The key of the `size`-th row above; None when there are not that many."""
    encoding = _encoding(session)
    where, params = _within(shape, (above, None), encoding)
    order = sql.SQL(", ").join(
        sql.SQL("{} USING {}").format(_of_row(column), _sql(column.below)) for column in shape.key
    )
    statement = sql.SQL("SELECT {} FROM (SELECT * FROM ONLY {} AS t{} ORDER BY {} OFFSET {} LIMIT 1) AS t").format(
        _keys(shape, encoding), _name(*shape.name), where, order, sql.Literal(size - 1)
    )
    row = session.execute(statement, params).fetchone()
    return tuple(row) if row else None


def hashes(session: Session, shape: Shape, within: Range) -> Generator[tuple[Key, int]]:
    """Key and hash of every row, sorted by the key's bytes; read as they come, so that a table may be of any size."""
    encoding = _encoding(session)
    where, params = _within(shape, within, encoding)
    order = sql.SQL(", ").join(sql.SQL(str(n + 1)) for n in range(len(shape.key)))
    statement = sql.SQL("SELECT {}, {} FROM ONLY {} AS t{} ORDER BY {}").format(
        _keys(shape, encoding), _hash(shape), _name(*shape.name), where, order
    )
    with closing(session.cursor().stream(statement, params)) as found:  # type: ignore[type-var]  # it is a generator
        for row in found:
            yield tuple(row[:-1]), row[-1]


def hashes_of(session: Session, shape: Shape, keys: Iterable[Key]) -> dict[Key, int]:
    """Hash by key of those rows that are there."""
    encoding = _encoding(session)
    # Of text, for those of a type that is an array itself would become one.
    arrays = sql.SQL(", ").join([_typed("text[]", encoding)] * len(shape.key))
    names = sql.SQL(", ").join(sql.Identifier(f"k{n}") for n in range(len(shape.key)))
    same = sql.SQL(" AND ").join(
        sql.SQL("{} {} u.{}::{}").format(
            _of_row(column), _sql(column.equal), sql.Identifier(f"k{n}"), _sql(column.type)
        )
        for n, column in enumerate(shape.key)
    )
    statement = sql.SQL("SELECT {}, {} FROM unnest({}) AS u({}) JOIN ONLY {} AS t ON {}").format(
        _keys(shape, encoding), _hash(shape), arrays, names, _name(*shape.name), same
    )
    columns = [_array(values) for values in zip(*keys, strict=True)]
    return {tuple(row[:-1]): row[-1] for row in session.execute(statement, columns).fetchall()}


def differing(left: Iterator[tuple[Key, int]], right: Iterator[tuple[Key, int]]) -> Iterator[Key]:
    """Keys that are not on both sides with the same hash; each side sorted by key."""
    end = (None, None)
    one, other = next(left, end), next(right, end)
    while one[0] is not None or other[0] is not None:
        if one == other:
            one, other = next(left, end), next(right, end)
        elif other[0] is None or (one[0] is not None and one[0] < other[0]):
            yield one[0]  # type: ignore[misc]  # None only if both are
            one = next(left, end)
        else:
            yield other[0]
            if one[0] == other[0]:
                one = next(left, end)
            other = next(right, end)


def _hash(shape: Shape) -> sql.Composed:
    columns = sql.SQL(", ").join(_name("t", column) for column in shape.columns)
    return sql.SQL('hashtextextended(ROW({})::text COLLATE "C", 0)').format(columns)


def _keys(shape: Shape, encoding: str) -> sql.Composed:
    """As the output functions say, like a stream does; a cast to text may say something else."""
    worded: LiteralString = "convert_to(format('%%s', {}), {})"
    return sql.SQL(", ").join(sql.SQL(worded).format(_of_row(column), sql.Literal(encoding)) for column in shape.key)


def _of_row(column: KeyColumn) -> sql.Identifier:
    return _name("t", column.name)


def _name(*parts: str) -> sql.Identifier:
    """Every statement here goes with parameters, to which a percent sign would belong."""
    return sql.Identifier(*(part.replace("%", "%%") for part in parts))


def _sql(text: Any) -> sql.SQL:
    """A type or an operator, quoted where it was read."""
    return sql.SQL(text.replace("%", "%%"))


def _within(shape: Shape, within: Range, encoding: str) -> tuple[sql.Composable, list[bytes]]:
    above, upto = within
    parts: list[sql.Composable] = []
    params: list[bytes] = []
    for key, is_lower in ((above, True), (upto, False)):
        if key is not None:
            part, values = _beyond(shape.key, key, is_lower, encoding)
            parts.append(part)
            params += values
    return (sql.SQL(" WHERE ") + sql.SQL(" AND ").join(parts) if parts else sql.SQL("")), params


def _beyond(
    columns: Sequence[KeyColumn], key: Key, is_lower: bool, encoding: str
) -> tuple[sql.Composable, list[bytes]]:
    """Rows above the key, or up to and with it."""
    column, bound = columns[0], _typed(columns[0].type, encoding)
    last = column.above if is_lower else column.at_most
    if len({(column.above, column.at_most) for column in columns}) == 1:
        # One comparison of rows, which an index serves; it takes the same operator for all columns.
        values = sql.SQL(", ").join(_typed(column.type, encoding) for column in columns)
        left = sql.SQL(", ").join(map(_of_row, columns))
        row = sql.SQL("ROW({}) {} ROW({})") if len(columns) > 1 else sql.SQL("{} {} {}")
        return row.format(left, _sql(last), values), list(key)
    strict, loose = (column.above, column.at_least) if is_lower else (column.below, column.at_most)
    rest, params = _beyond(columns[1:], key[1:], is_lower, encoding)
    # What an index serves is the first comparison.
    part = sql.SQL("({0} {1} {2} AND ({0} {3} {2} OR ({0} {4} {2} AND {5})))").format(
        _of_row(column), _sql(loose), bound, _sql(strict), _sql(column.equal), rest
    )
    return part, [key[0]] * 3 + params


def _typed(type_: str, encoding: str) -> sql.Composed:
    return sql.SQL("convert_from(%s, {})::{}").format(sql.Literal(encoding), _sql(type_))


def _array(values: Iterable[bytes]) -> bytes:
    quoted = (b'"' + value.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"' for value in values)
    return b"{" + b",".join(quoted) + b"}"


def _encoding(session: Session) -> str:
    return "SQL_ASCII" if session.info.parameter_status("server_encoding") == "SQL_ASCII" else "UTF8"
