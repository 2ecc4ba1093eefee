"""The byte scan: whatever holds a forgotten text, in whatever encoding and wherever it stands, is found."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from memory import linefiles, needles, proof
from memory.needles import Key, Needle

TEXTS = st.text(min_size=12, max_size=200).filter(lambda text: len(text.strip().encode("utf-8", "replace")) >= 12)


@settings(deadline=None, max_examples=25)
@given(TEXTS, st.integers(0, 70), st.booleans())
def test_each_encoding_of_a_text_is_found_where_it_stands(text: str, before: int, at_an_edge: bool) -> None:
    key = Key.new()
    searcher = proof.Searcher(key, needles.of_texts([text], key).needles)
    pad = b"\xff" * (proof.READ - 10 if at_an_edge else before)
    for data in needles.encodings(text):
        if len(data) >= needles.SHORTEST:
            found = [offset for offset, _ in searcher(pad + data + b"\xfe")]
            assert found and all(len(pad) <= offset < len(pad) + len(data) for offset in found)


def test_a_key_and_its_needles_come_back_and_hold_no_text() -> None:
    key = Key.new()
    made = needles.of_texts(["The vault opens with Xylophonquark."], key)
    kept = needles.to_json(key, made.needles)
    assert needles.from_json(kept) == (key, list(made.needles)) and "Xylo" not in kept
    assert needles.from_json("[]")[1] == []


def test_texts_too_short_to_be_told_are_counted_and_not_looked_for() -> None:
    looked = needles.of_texts(["Yes.", "ok", "A text that is long enough."], Key.new())
    assert (looked.texts, looked.short, looked.left_out) == (1, 2, 0)


def test_of_very_many_texts_an_even_choice_is_looked_for() -> None:
    looked = needles.of_texts([f"The text of number {number} of many." for number in range(50)], Key.new(), most=100)
    assert looked.texts < 50 and looked.texts + looked.left_out == 50


def test_files_are_read_whole_but_other_lives_links_and_weights(tmp_path: Path) -> None:
    key, text = Key.new(), "The vault opens with Xylophonquark."
    wanted: tuple[Needle, ...] = needles.of_texts([text], key).needles
    for name in ("a/deep/file.bin", "profiles/job/x", "models/weights.gguf", "cache/vocabulary"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"\0" * 100 + text.encode())
    (tmp_path / "link").symlink_to(tmp_path / "profiles" / "job" / "x")
    done = proof.scan(tmp_path, key, wanted)
    assert {one.path for one in done.found} == {"a/deep/file.bin"} and min(one.offset for one in done.found) == 100
    assert (done.files, done.bytes, done.unread) == (1, 100 + len(text), ())
    assert done.skipped == ("models", "cache", "profiles")


def test_entries_are_cut_out_of_history_and_log_whole(tmp_path: Path) -> None:
    history = tmp_path / "history"
    history.write_text("\n# 2026-11-23 10:00:00.1\n+keep\n\n# 2026-11-23 10:01:00.2\n+gone\n+# too\n")
    assert linefiles.cut(history, [history.read_bytes().index(b"gone")]) == 1
    assert history.read_text() == "\n# 2026-11-23 10:00:00.1\n+keep\n"
    log = tmp_path / "assistant.log"
    log.write_text("2026-11-23 a\n2026-11-23 gone\nTraceback gone\n2026-11-23 b\n")
    assert linefiles.cut(log, [log.read_bytes().index(b"Traceback")]) == 1
    assert log.read_text() == "2026-11-23 a\n2026-11-23 b\n"
