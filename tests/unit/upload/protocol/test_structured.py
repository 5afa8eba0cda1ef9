"""Structured fields: what is an item or dictionary of RFC 9651, and what is ignored."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upload.protocol import structured

any_text = st.text(st.characters(max_codepoint=255)) | st.text('0123456789 ,;:=?.+-_*"\\@%ab/')


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("5", 5),
        (" 5 ", 5),
        ("005", 5),
        ("5;a", 5),
        ('5; a="x;y";b=:AA==:', 5),
        ("9" * 15, structured.INTEGER_MAX),
    ],
)
def test_integers(text, number):
    assert structured.parse_integer(text) == number


@pytest.mark.parametrize(
    "text", ["", "-1", "5.0", "9" * 16, "?1", '"5"', "5,", "5;", "5;A=1", "5 5", "\t5", "@5", "\u0665", "1_0"]
)
def test_no_integers(text):
    assert structured.parse_integer(text) is None


@pytest.mark.parametrize(
    ("text", "claim"), [("?1", True), ("?0", False), ("?1;a=?0", True), ("1", None), ("?2", None), ("", None)]
)
def test_booleans(text, claim):
    assert structured.parse_boolean(text) is claim


@pytest.mark.parametrize(
    ("text", "members"),
    [
        ("", {}),
        ("a", {"a": "?1"}),
        ("a=1", {"a": "1"}),
        ("a=1, b;x=2 ,\tc=:AA==:", {"a": "1", "b": "?1", "c": ":AA==:"}),
        ("a=1,a=2", {"a": "2"}),
        ('a="x, y"', {"a": '"x, y"'}),
        ("a=1.5, b=tok/en", {"a": "1.5", "b": "tok/en"}),
        ("a=1,", None),
        (",a", None),
        ("A=1", None),
        ("a=1 b=2", None),
        ("a=(1 2)", None),
        ("a=", None),
    ],
)
def test_dictionaries(text, members):
    assert structured.parse_dictionary(text) == members


@given(st.dictionaries(st.sampled_from(["a", "max-size", "*", "a1_.-*"]), st.integers(0, structured.INTEGER_MAX)))
def test_integers_survive_writing(members):
    written = structured.format_integers(members).decode()

    assert structured.parse_dictionary(written) == {key: str(number) for key, number in members.items()}


@given(any_text)
def test_nothing_is_ever_raised(text):
    """A field that is none is ignored, so a parser has nothing to raise."""
    structured.parse_integer(text)
    structured.parse_boolean(text)
    for member in (structured.parse_dictionary(text) or {}).values():
        structured.parse_bytes(member)
