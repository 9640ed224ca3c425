"""What PostgreSQL words in two ways is equal to the comparison; what only looks alike is not."""

from __future__ import annotations

import pytest

from migrations_app.verification.schema import differing, entries


def dump(title: str, definition: str) -> str:
    return f"--\n-- Name: {title}; Type: X; Schema: public; Owner: o\n--\n\n{definition}\n\n"


CHECK = "ALTER TABLE t ADD CONSTRAINT c CHECK (((s)::text = ANY ({})));"
POLICY = "CREATE POLICY p ON public.t FOR SELECT TO {} USING ((a = 'x, y'::text));"
CHILD = "CREATE TABLE public.c (\n    {}\n)\nINHERITS (public.p);"
PLAIN = "CREATE TABLE public.c (\n    {}\n);"


@pytest.mark.parametrize(
    ("form", "one", "other"),
    [
        (
            CHECK,
            "(ARRAY['a'::character varying, E'it''s, \\\\'::character varying(9)])::text[]",
            "ARRAY[('a'::character varying)::text, (E'it''s, \\\\'::character varying(9))::text]",
        ),
        (POLICY, 'boss, "a b", zoe', 'zoe, boss, "a b"'),
        (CHILD, "a integer,\n    b text", "b text,\n    a integer"),
    ],
)
def test_two_wordings_of_the_same_are_equal(form: str, one: str, other: str) -> None:
    assert differing(entries(dump("x", form.format(one))), entries(dump("x", form.format(other)))) == []


@pytest.mark.parametrize(
    ("form", "one", "other"),
    [
        (CHECK, "(ARRAY['a'::character varying])::text[]", "(ARRAY['b'::character varying])::text[]"),
        (POLICY, "boss, zoe", "boss"),
        (POLICY, "boss", "zoe"),
        (CHILD, "a integer,\n    b text", "a integer,\n    b integer"),
        (PLAIN, "a integer,\n    b text", "b text,\n    a integer"),
    ],
)
def test_what_differs_is_not(form: str, one: str, other: str) -> None:
    assert differing(entries(dump("x", form.format(one))), entries(dump("x", form.format(other))))
