"""Rewriting a process definition for another region."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from migrations_app.dataplane.process_definition import parse_region_values, rewrite
from migrations_app.errors import PermanentError

US = {
    "REGION": "us-east-1",
    "APP_HOST": "127.0.0.1",
    "DATABASE_ADDRESS": "127.0.0.1:5433",
    "S3_SECRET_KEY": "s3cr%et+/=",
    "PROGRAMS": "/srv/us-east-1/programs",
}
EU = {
    "REGION": "eu-west-1",
    "APP_HOST": "127.0.0.2",
    "DATABASE_ADDRESS": "127.0.0.2:6000",
    "S3_SECRET_KEY": "%other%",
    "PROGRAMS": "/opt/programs",
}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("directory=/srv/us-east-1/programs/app", "directory=/opt/programs/app"),
        ("URL=postgres://u@127.0.0.1:5433/db", "URL=postgres://u@127.0.0.2:6000/db"),
        ("--bind=127.0.0.1:8000", "--bind=127.0.0.2:8000"),
        ("127.0.0.1:54330", "127.0.0.2:54330"),
        ("x-127.0.0.1 127.0.0.11 127.0.0.1.nip.io us-east-1a my_us-east-1", None),
        ('KEY="s3cr%%et+/="', 'KEY="%%other%%"'),
        ('KEY="s3cr%et+/="', None),
        ("127.0.0.1,127.0.0.1", "127.0.0.2,127.0.0.2"),
    ],
)
def test_whole_tokens_are_replaced_and_the_longest_wins(before, after):
    assert rewrite(before, US, EU) == (before if after is None else after)


def test_what_was_put_in_is_not_replaced_again():
    swapped = {"ONE": "first", "TWO": "second"}, {"ONE": "second", "TWO": "first"}
    assert rewrite("first second", *swapped) == "second first"


def test_a_value_the_destination_lacks_is_named_and_not_shown():
    with pytest.raises(PermanentError, match="S3_SECRET_KEY") as caught:
        rewrite('KEY="s3cr%%et+/="', US, {"REGION": "eu-west-1"})
    assert "s3cr" not in str(caught.value)
    assert rewrite("in us-east-1", US, {"REGION": "eu-west-1"}) == "in eu-west-1"


def test_one_value_under_two_names_is_refused_where_they_part():
    source = {"A_HOST": "10.0.0.1", "B_HOST": "10.0.0.1"}
    assert rewrite("10.0.0.1", source, {"A_HOST": "10.0.0.2", "B_HOST": "10.0.0.2"}) == "10.0.0.2"
    with pytest.raises(PermanentError, match="A_HOST and B_HOST"):
        rewrite("10.0.0.1", source, {"A_HOST": "10.0.0.2", "B_HOST": "10.0.0.3"})


def test_reading_a_region_env():
    assert parse_region_values("# local\n\nREGION=us-east-1\nS3_KEY = a=b \nNONE=\n") == {
        "REGION": "us-east-1",
        "S3_KEY": "a=b",
        "NONE": "",
    }


@pytest.mark.parametrize(
    "text", ["OK=fine\nhush", "lower=hush", "A=hush\nA=hush", 'A=hu"sh', "A=hush ;x", "A=hu\x00sh", "A=hu"]
)
def test_a_broken_region_env_is_refused_without_showing_it(text):
    with pytest.raises(PermanentError, match=r"Line \d|value of A") as caught:
        parse_region_values(text)
    assert "hu" not in caught.value.reason


values = st.text(alphabet="abcXYZ019.-_:/%+=@", min_size=3, max_size=12)
regions = st.lists(values, min_size=6, max_size=6, unique=True).map(
    lambda six: (
        {n: v for n, v in zip("ABC", six[:3], strict=True)},
        {n: v for n, v in zip("ABC", six[3:], strict=True)},
    )
)
gaps = st.text(alphabet=' \n",;()', min_size=1, max_size=4)


@given(both=regions, parts=st.lists(st.tuples(gaps, st.sampled_from("ABC")), max_size=8), end=gaps)
def test_there_and_back_is_the_identity(both, parts, end):
    source, dest = both
    text = "".join(gap + source[name].replace("%", "%%") for gap, name in parts) + end
    there = rewrite(text, source, dest)
    assert there == "".join(gap + dest[name].replace("%", "%%") for gap, name in parts) + end
    assert rewrite(there, dest, source) == text


@given(both=regions, text=st.text())
def test_text_without_values_is_unchanged(both, text):
    source, dest = both
    assume(not any(value.replace("%", "%%") in text for value in source.values()))
    assert rewrite(text, source, dest) == text
