"""CSV and JSON."""

import json

import pytest

from shared.documents import Document, read_document
from shared.documents.structured import MOST_LISTED, SHORT_NAME, TABLE_ROWS
from shared.errors import UnreadableDocument


def csv(text: str, encoding: str = "utf-8", name: str = "folder/stock.csv") -> Document:
    return read_document(name, text.encode(encoding))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_table_is_read_however_it_is_written(delimiter: str, encoding: str) -> None:
    """Delimiter and encoding are told from the file; quoted values keep their delimiters."""
    rows = [["Artikel", "Preis", "Notiz"], ["Kühlbox", "12", f"groß{delimiter} blau"], ["Deckel", "3", ""]]
    text = "\n".join(delimiter.join(f'"{cell}"' for cell in row) for row in rows)
    made = csv(text, encoding)
    bar = "\\|" if delimiter == "|" else delimiter.strip()
    assert made.text == "\n".join(
        [
            "| Artikel | Preis | Notiz |",
            "| --- | --- | --- |",
            f"| Kühlbox | 12 | groß{bar} blau |",
            "| Deckel | 3 |  |",
        ]
    )
    assert [block.kind for block in made.blocks] == ["table"]
    assert made.title == "Stock"


def test_a_title_above_the_table_is_its_title() -> None:
    """A first row with one value names the table."""
    made = csv("Prices of 2026,,\nitem,EUR,note\nbox,12,\n")
    assert made.title == "Prices of 2026"
    assert "| item | EUR | note |" in made.text


def test_rows_of_a_long_table_name_their_columns() -> None:
    """A table that is cut into chunks keeps its meaning: every row says what its values are."""
    rows = "\n".join(f"box {n},{n},," for n in range(TABLE_ROWS + 1))
    made = csv(f"item,EUR,note,\n{rows}\n")
    assert made.text.split("\n")[0] == "- item: box 0; EUR: 0"
    assert [block.kind for block in made.blocks] == ["list"]


def test_a_table_without_values_is_empty() -> None:
    """Delimiters alone are no text."""
    with pytest.raises(UnreadableDocument) as caught:
        csv(",,\n,,\n")
    assert caught.value.reason == "empty"


def test_json_keys_become_headings_and_names() -> None:
    """Short values are listed under their names, nested objects and long texts are sections, records are lines."""
    long = "A paragraph. " * 40
    value = {
        "title": "Boreal",
        "watts": 90,
        "notes": long,
        "parts": [{"name": "lid", "mm": 4}, {"name": "box", "mm": 7}],
        "maker": {"name": "Norrfrost", "sites": {"Luleå": {"people": [1, 2]}}},
    }
    made = read_document("boreal.json", json.dumps(value).encode())
    assert made.title == "Boreal"
    lines = [line for line in made.text.split("\n") if line]
    assert lines == [
        "- title: Boreal",
        "- watts: 90",
        "## notes",
        long.strip(),
        "## parts",
        "- name: lid; mm: 4",
        "- name: box; mm: 7",
        "## maker",
        "- name: Norrfrost",
        "### sites",
        "#### Luleå",
        "##### people",
        "- 1",
        "- 2",
    ]


def test_json_lines_are_records() -> None:
    """Each line is one record."""
    made = read_document("log.jsonl", b'{"a": 1, "b": "x"}\n\n{"a": 2, "b": null}\n')
    assert made.text == "- a: 1; b: x\n- a: 2; b: null"


@pytest.mark.parametrize("depth", [100, 200_000])
def test_deeply_nested_json_does_no_harm(depth: int) -> None:
    """However deep it is nested, it is text or too large."""
    try:
        made = read_document("a.json", b'{"a":' * depth + b'"words"' + b"}" * depth)
    except UnreadableDocument as fault:
        assert fault.reason == "too_large"
        assert depth > 100
    else:
        assert "words" in made.text


def test_json_that_is_none_is_corrupt() -> None:
    """What cannot be parsed says where it breaks."""
    with pytest.raises(UnreadableDocument, match="line 1 column 9") as caught:
        read_document("a.json", b'{"a": 1 "b": 2}')
    assert caught.value.reason == "corrupt"


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"a":' * 100_000, b"[" * 100_000 + b"]" * 100_000])
@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_endless_nesting_has_a_clear_reason(name: str, content: bytes) -> None:
    """What is nested more deeply than a parser follows says so."""
    with pytest.raises(UnreadableDocument, match="nested too deeply") as caught:
        read_document(name, content)
    assert caught.value.reason == "too_large"


def test_numbers_are_read_as_they_are_written() -> None:
    """However many digits a number has, and with the zeros that somebody wrote."""
    digits = "7" * 5_000
    assert digits in read_document("a.json", f'{{"n": {digits}}}'.encode()).text
    assert read_document("a.json", b'{"EUR": 12.50, "far": 1e999}').text == "- EUR: 12.50\n- far: 1e999"


def test_a_key_may_stand_there_twice() -> None:
    """No value is lost to another one of the same name."""
    text = read_document("a.json", b'{"note": "first", "note": "second", "n": 1}').text
    assert "first" in text
    assert "second" in text
    assert "- n: 1" in text


def test_lists_in_a_list_are_lines() -> None:
    """A matrix, or rows without names, takes no heading a row."""
    assert read_document("a.json", b'[[13.4, "north"], [52.50, null]]').text == "- 13.4; north\n- 52.50; null"


@pytest.mark.parametrize("between", ["\n", "\r\n", "", "\n\x1e", ",\n"])
@pytest.mark.parametrize("indent", [None, 2])
def test_values_may_follow_each_other_in_any_json(indent: int | None, between: str) -> None:
    """JSON lines in a file that is named otherwise are records, also where they are spread over lines."""
    content = between.join(json.dumps({"a": n, "b": "x"}, indent=indent) for n in range(3))
    for name in ("log.json", "log.jsonl"):
        assert read_document(name, content.encode()).text == "- a: 0; b: x\n- a: 1; b: x\n- a: 2; b: x"


@pytest.mark.parametrize("name", ["log.json", "log.jsonl"])
def test_a_bad_line_costs_no_other(name: str) -> None:
    """The other lines are records, and the text says which one is missing."""
    text = read_document(name, b'{"a": 1}\n{"a": 2}\n{"a": \n{"a": 4}\n' + b"[" * 100_000).text
    assert text.startswith("- a: 1\n- a: 2\n- a: 4")
    assert text.endswith("(Lines that are not JSON and could not be read: 3, 5.)")


def test_mostly_bad_lines_are_corrupt() -> None:
    """A file of other lines is none of JSON lines; where it breaks first is said. A list of lines has an end."""
    with pytest.raises(UnreadableDocument, match="line 2 is not JSON") as caught:
        read_document("a.jsonl", b'{"a": 1}\n\xc2\xa7 words\nmore\n')
    assert caught.value.reason == "corrupt"
    many = "".join(f'{{"a": {n}}}\nwords\n' for n in range(100))
    assert f"and {100 - MOST_LISTED} more" in read_document("a.jsonl", many.encode()).text


@pytest.mark.parametrize("end", ["\r", "\r\n", "\n"])
def test_lines_of_a_table_end_as_anywhere(end: str) -> None:
    """Old Macs, Windows and Unix; also within a quoted value."""
    made = csv(f'item,note{end}box,"blue{end}lid"{end}cup,red{end}')
    assert made.text == "| item | note |\n| --- | --- |\n| box | blue lid |\n| cup | red |"


def test_a_doubled_quote_is_one_and_ends_no_value() -> None:
    """However few of them there are, a value keeps its delimiters."""
    made = csv('id,name\n1,"O""Neil, Bob"\n2,Ann\n3,"Tim"\n')
    assert made.text == '| id | name |\n| --- | --- |\n| 1 | O"Neil, Bob |\n| 2 | Ann |\n| 3 | Tim |'


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "SEP=;"])
def test_a_table_may_say_its_delimiter(first: str) -> None:
    """The first line that Excel writes and reads is not part of the table."""
    made = csv(f"{first}\r\nitem;EUR,net\r\nbox;1,5\r\n")
    assert made.text == "| item | EUR,net |\n| --- | --- |\n| box | 1,5 |"
    assert made.title == "Stock"


def test_long_names_of_columns_do_not_multiply_a_table() -> None:
    """Names are said in full once; rows say their numbers and how they begin. Short names stay what they are."""
    names = [f"How satisfied have you been in the last year with service number {n:02}" for n in range(20)]
    rows = [",".join(str((n + at) % 6) for at in range(20)) for n in range(200)]
    text = csv("\n".join([",".join(names), *rows])).text
    assert all(text.count(name) == 1 for name in names)
    assert f"- 1 {names[0]}\n" in text
    row = text.split("\n")[len(names)]
    assert row.startswith("- 1 How satisfied…: 0; 2 How satisfied…: 1;")
    assert len(row) <= 20 * (SHORT_NAME + 5)
    short = csv("\n".join([",".join(f"column_{n}" for n in range(40)), *(",".join("x" * 40) for _ in range(40))])).text
    assert short.startswith("- column_0: x; column_1: x;")
