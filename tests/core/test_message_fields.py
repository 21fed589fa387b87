"""The body of a broadcast: what is a field, and what is text."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexsms.core.exceptions import InvalidInput
from flexsms.core.message_fields import MessageFields

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(str.strip)


@given(TEXTS, TEXTS)
def test_what_a_list_says_stays_as_it_is(first: str, second: str) -> None:
    """Whatever it looks like: a field, a template of Jinja, a format of Python, or a mark of direction."""
    body = MessageFields.parse("a {one} b {two} c {one}")
    assert body.render({"one": first, "two": second}) == f"a {first} b {second} c {first}"


@pytest.mark.parametrize(
    "value",
    [
        "{two}",
        "{{ conn.twilio_default.password }}",
        "{0.__class__}",
        "%(two)s",
        "${two}",
        "=HYPERLINK(1)",
        "\u200f\u05e9\u05dc\u05d5\u05dd",
        '"quoted"',
    ],
)
def test_no_value_is_a_template(value: str) -> None:
    body = MessageFields.parse("Hello {one}!")
    assert body.render({"one": value, "two": "never"}) == f"Hello {value}!"


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("", "body: is empty; write a text, like: Hello {first_name}."),
        (" \n", "body: is empty"),
        ("Hi {{ name }}", "body: has '{{', and is no template of Jinja; write a field like {first_name}"),
        ("Hi {{name}}", "body: has '{{'"),
        ("Hi {% if x %}", "body: has '{%'"),
        (
            "Hi {first name}",
            "body: has {first name}, which cannot be the name of a column; write a field like",
        ),
        ("Hi {name.__class__}", "has {name.__class__}, which cannot be"),
        ("Hi {name!r}", "has {name!r}, which cannot be"),
        ("Hi {0}", "has {0}, which cannot be"),
        ("Hi {}", "has {}, which cannot be"),
        ("Hi \ud83d", "body: holds half an emoji"),
        ("Hi \x00", "body: holds the control character U+0000, which nobody can read; remove it."),
    ],
)
def test_what_is_almost_a_field_is_named(body: str, sentence: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        MessageFields.parse(body)
    assert sentence in str(raised.value)


@pytest.mark.parametrize("body", ["a smile :-}", "another one :-{", "no field at all", "} {"])
def test_a_brace_alone_is_text(body: str) -> None:
    assert MessageFields.parse(body).render({}) == body


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (7, "7"),
        (Decimal("10.50"), "10.50"),
        (Decimal("1E+3"), "1000"),
        (19.9, "19.9"),
        (date(2026, 3, 1), "2026-03-01"),
        (datetime(2026, 3, 1, 9, 30, tzinfo=UTC), "2026-03-01 09:30:00+00:00"),
    ],
)
def test_values_of_a_database_are_written_out(value: object, text: str) -> None:
    assert MessageFields.parse("{one}").render({"one": value}) == text


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (None, "one: is empty; give it a value, or leave {one} out of the body."),
        ("", "one: is empty"),
        (" \u00a0\t", "one: is empty"),
        ("a\x00b", "one: holds the control character U+0000, which nobody can read; remove it."),
        ("\x1fa", "one: holds the control character U+001F"),
        ("a\x1b", "one: holds the control character U+001B"),
        ("a\x85b", "one: holds the control character U+0085"),
        # What pandas has in the place of nothing.
        (float("nan"), "one: is empty; give it a value, or leave {one} out of the body."),
        (Decimal("NaN"), "one: is empty"),
        (float("inf"), "one: is infinite, and no number; write in the list what is to be read."),
        (Decimal("-Infinity"), "one: is infinite"),
        (True, "one: is true or false, and no text"),
        (["a"], "one: is list, not text"),
        ({"a": 1}, "one: is dict, not text"),
        ("cut \ud83d", "one: holds half an emoji"),
    ],
)
def test_a_value_that_is_no_text_is_named(value: object, sentence: str) -> None:
    body = MessageFields.parse("Hi {one}")
    with pytest.raises(InvalidInput) as raised:
        body.render({"one": value})
    assert sentence in str(raised.value)
    with pytest.raises(InvalidInput, match="one: is empty"):
        body.render({})


def test_a_column_that_is_missing_is_named_with_the_nearest_one() -> None:
    body = MessageFields.parse("Hi {frist_name}")
    with pytest.raises(
        InvalidInput, match=r"has \{frist_name\}, .* no such column; did you mean \{first_name\}\?"
    ):
        body.check_columns(["to_number", "first_name"])
    with pytest.raises(InvalidInput, match="add the column, or leave the field out"):
        body.check_columns(["to_number"])
    body.check_columns(["frist_name"])


@pytest.mark.parametrize("column", ["first name", " first_name", "first-name"])
def test_no_field_is_suggested_that_cannot_be_one(column: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        MessageFields.parse("Hi {first_name}").check_columns(["to_number", column])
    assert str(raised.value).endswith(f"no such column; call the column {column!r} first_name in the list.")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("Hi {first_name", "'{first_name'"),
        ("Hi { first_name, welcome to {city}", "'{ first_name'"),
        ("Hi first_name}, welcome", "'first_name}'"),
    ],
)
def test_a_field_with_one_brace_does_not_go_out(body: str, told: str) -> None:
    columns = ["to_number", "first_name", "city"]
    with pytest.raises(InvalidInput) as raised:
        MessageFields.parse(body).check_columns(columns)
    assert str(raised.value) == f"body: has {told}, a field with one brace only; write {{first_name}}."
    MessageFields.parse("Hi :-{ first_nam {city}").check_columns(["to_number", "city"])


@pytest.mark.parametrize("value", ["two\nlines", "a\tb", "two\r\nlines"])
def test_ends_of_lines_and_tabs_are_text(value: str) -> None:
    assert MessageFields.parse("{one}").render({"one": value}) == value
