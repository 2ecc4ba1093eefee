"""The sums of `assistant eval`, and the cases they are made of."""

import contextlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory import cases, evaluation
from memory.cases import Question, Wanted
from memory.errors import BadInput
from memory.evaluation import Result
from memory.records import USER, Hit, HitKind, Message, Session
from memory.store import Store

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)


def hit(name: str, *more: str, kind: HitKind = "message", text: str = "", tokens: int = 10) -> Hit:
    """A hit that names messages, written "session/message"; "session/" names none."""
    session = name.partition("/")[0]
    ids = tuple(one.split("/")[1] for one in (name, *more) if not one.endswith("/"))
    return Hit("m1", kind, session, ids, text, AT, USER, 1.0, tokens)


def result(right: str, *hits: Hit, sessions: str = "", category: str = "", took_ms: float = 1.0) -> Result:
    """What came of a question whose right messages are `right`, in words "session/message"."""
    keys = [(one.split("/")[0], one.split("/")[1]) for one in right.split()]
    wanted = Wanted({key: f"The text of {key[1]}." for key in keys}, frozenset([*sessions.split(), *dict(keys)]))
    return Result(Question(f"q {right}", "Who?", category=category), wanted, hits, took_ms)


# ---------------------------------------------------------------------- sums


def test_figures_by_hand() -> None:
    """Two questions: one found whole at once, one found by half and late."""
    first = result("a/1 b/1", hit("a/1"), hit("b/1"), took_ms=10)
    second = result("c/1 d/1", hit("x/1"), hit("d/1"), took_ms=30)
    assert evaluation.of_recall([first, second]) == {
        "asked": 2, "any@1": 0.5, "all@5": 0.5, "recall@10": 0.75, "tokens": 20, "p50_ms": 20, "p95_ms": 30
    }  # fmt: skip


def test_messages_and_sessions_count_once_where_they_are_first_named() -> None:
    hits = [hit("a/1", "a/2", kind="fact"), hit("a/1"), hit("b/", kind="summary"), hit("b/1")]
    assert evaluation.named_messages(hits) == [("a", "1"), ("a", "2"), ("b", "1")]
    assert evaluation.named_sessions(hits) == ["a", "b"]


def test_the_same_id_in_another_session_is_another_message() -> None:
    assert evaluation.messages_found(result("a/1", hit("b/1"))) == 0


def test_only_the_first_ten_messages_and_five_sessions_count() -> None:
    late = [hit(f"x{n}/1") for n in range(10)]
    assert evaluation.messages_found(result("a/1", *late[:9], hit("a/1"))) == 1
    assert evaluation.messages_found(result("a/1", *late, hit("a/1"))) == 0
    assert evaluation.all_sessions_found(result("a/1", *late[:4], hit("a/1"))) is True
    assert evaluation.all_sessions_found(result("a/1", *late[:5], hit("a/1"))) is False


def test_a_question_that_names_sessions_alone_has_no_share_of_messages() -> None:
    figures = evaluation.of_recall([result("", hit("a/", kind="summary"), sessions="a")])
    assert (figures["any@1"], figures["recall@10"]) == (1, None)


def test_what_wants_nothing_counts_for_prompts_alone() -> None:
    found = result("a/1", hit("a/1", text="The text of 1.", tokens=40), took_ms=5)
    quiet, loud = result(""), result("", hit("b/1", tokens=900))
    assert evaluation.of_recall([found, quiet, loud])["asked"] == 1
    assert evaluation.of_prompts([found, quiet, loud]) == {
        "asked": 1, "right": 1, "tokens": 40, "most": 40, "nothing": 2, "noise": 0.5, "p50_ms": 1, "p95_ms": 5
    }  # fmt: skip


def test_figures_of_nothing_are_none() -> None:
    assert set(evaluation.of_recall([]).values()) == {0, None}
    assert set(evaluation.of_prompts([]).values()) == {0, None}


@pytest.mark.parametrize(
    ("text", "message", "shown"),
    [
        ("I live in Porto now. (user, 2026-03-02, session s)", "I live in Porto now.", True),
        ("… the hall is booked from noon to six …", "Long ago. " * 50 + "The hall is booked from noon to six.", True),
        ("The user lives abroad.", "I moved to Porto with my dog.", False),
        ("Yes! (user)", "Yes!", True),
        ("", "Yes!", False),
    ],
)  # fmt: skip
def test_a_right_message_is_shown_where_its_words_are(text: str, message: str, shown: bool) -> None:
    assert evaluation.shows(text, message) is shown


def test_a_fact_that_names_a_message_and_says_something_else_does_not_show_it() -> None:
    one = Result(
        Question("q", "Who?"),
        Wanted({("a", "1"): "Four of us five know Go, only Ines knows Rust."}, frozenset("a")),
        (hit("a/1", kind="fact", text="The deadline is in May."),),
        1.0,
    )
    assert evaluation.right_shown(one) is False


def test_categories_are_rows_where_there_are_several() -> None:
    assert evaluation.by_category([result("a/1"), result("b/1")]) == {}
    found = evaluation.by_category([result("a/1", category="time"), result("b/1"), result("c/1", category="time")])
    assert {name: len(of) for name, of in found.items()} == {"other": 1, "time": 2}


def test_the_worst_miss_comes_first() -> None:
    good = result("a/1", hit("a/1"))
    second = result("b/1", hit("x/1"), hit("b/1"))
    lost = result("c/1", hit("x/1"))
    late = result("d/1", *(hit(f"x{n}/1") for n in range(12)), hit("d/1"))
    assert evaluation.misses_of_recall([good, second, late, lost]) == [lost, late, second]
    assert evaluation.ranks(late) == {"messages": {"1": 13}, "sessions": {"d": 13}}
    assert evaluation.ranks(lost) == {"messages": {"1": None}, "sessions": {"c": None}}


def test_misses_of_prompts_are_what_is_missing_and_what_is_too_much() -> None:
    shown, missing = result("a/1", hit("a/1", text="The text of 1.")), result("b/1")
    quiet, loud = result(""), result("", hit("x/1"))
    assert evaluation.misses_of_prompts([shown, loud, quiet, missing]) == [missing, loud]


names = st.sampled_from([f"{session}/{message}" for session in "abc" for message in "123"])


@given(st.lists(names, min_size=1, max_size=4, unique=True), st.lists(names, max_size=20))
def test_shares_are_shares_and_what_finds_all_misses_nothing(right: list[str], found: list[str]) -> None:
    one = result(" ".join(right), *map(hit, found))
    figures = evaluation.of_recall([one])
    assert all(0 <= figures[name] <= 1 for name in ("any@1", "all@5", "recall@10"))  # type: ignore[operator]
    if figures["recall@10"] == 1:
        assert figures["all@5"] == 1 or len(set(found)) > 5
    assert bool(evaluation.misses_of_recall([one])) == (figures["any@1"] != 1 or figures["recall@10"] != 1)


# ---------------------------------------------------------------------- cases


def question(**fields: Any) -> dict[str, Any]:
    return {"schema": cases.SCHEMA, "id": "q", "question": "Who?", "messages": ["1"], **fields}


def written(path: Path, *lines: object) -> Path:
    path.write_text("\n".join(one if isinstance(one, str) else json.dumps(one) for one in lines), encoding="utf-8")
    return path


def test_questions_are_read_with_what_they_name(tmp_path: Path) -> None:
    at = "2026-03-02T12:00:00+00:00"
    path = written(
        tmp_path / "cases.jsonl",
        question(id="a", at=at, category="time", sessions=["s"]),
        "",
        question(id="b", messages=[]),
        {"schema": "assistant.session/1", "id": "s", "messages": []},
    )
    read = cases.read(path)
    assert read.questions == (
        Question("a", "Who?", ("1",), ("s",), AT, "time"),
        Question("b", "Who?"),
    )
    assert (read.sessions, read.lines, read.bad) == (1, {1, 3}, ())


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "not JSON"),
        ("[1]", "not an object"),
        ("[" * 100_000, "not JSON"),
        ({"id": "q"}, "schema"),
        (question(schema="assistant.question/2"), "assistant.question/2"),
        (question(id=""), "id is missing"),
        (question(id=7), "id is not text"),
        (question(question=" "), "question is missing"),
        (question(messages=None), "messages is missing"),
        (question(messages="1"), "messages is not a list"),
        (question(messages=[1]), "messages is not a list"),
        (question(at="noon"), "at is not a date"),
        (question(category=["x"]), "category is not text"),
    ],
)
def test_a_line_that_cannot_be_used_is_told_with_its_number(tmp_path: Path, line: object, reason: str) -> None:
    read = cases.read(written(tmp_path / "cases.jsonl", question(), line))
    assert [one.line for one in read.bad] == [2]
    assert reason in read.bad[0].reason
    assert len(read.questions) == 1


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cases.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match="UTF-8"):
        cases.read(tmp_path / "cases.jsonl")


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    path.write_bytes(data)
    with contextlib.suppress(BadInput):
        assert cases.read(path).questions == ()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Sessions "s" and "t"; each has a message "1", and "s" a message "2"."""
    store = Store(tmp_path / "memory.db")
    for session, ids in (("s", "12"), ("t", "1")):
        store.start(Session(session, AT))
        for one in ids:
            store.add(Message(one, session, "user", f"Text {one} of {session}.", AT, USER))
    return store


def wanted(store: Store, *messages: str, sessions: tuple[str, ...] = ()) -> tuple[Wanted | None, list[str]]:
    found, problems = cases.wanted(store, [Question("q", "Who?", messages, sessions)])
    return found.get("q"), problems


def test_ids_are_found_with_their_sessions(store: Store) -> None:
    assert wanted(store, "2") == (Wanted({("s", "2"): "Text 2 of s."}, frozenset("s")), [])
    assert wanted(store, "1", sessions=("t",)) == (Wanted({("t", "1"): "Text 1 of t."}, frozenset("t")), [])
    assert wanted(store, sessions=("s", "t")) == (Wanted({}, frozenset("st")), [])
    assert wanted(store) == (Wanted({}, frozenset()), [])


def test_an_id_that_names_nothing_or_too_much_is_told_and_left_out(store: Store) -> None:
    assert wanted(store, "2", "9") == (
        Wanted({("s", "2"): "Text 2 of s."}, frozenset("s")), ["question q: the message 9 is not there."]
    )  # fmt: skip
    found, problems = wanted(store, "1")
    assert found is None and "several sessions" in problems[0]
    assert wanted(store, sessions=("u",)) == (None, ["question q: the session u is not there."])
