"""Settings: which source wins, what is refused and how it is told, and a file that its owner may edit by hand."""

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.settings import EMBEDDINGS, FILE, KINDS, MINIMA, NAMES, Settings, load, store
from memory.errors import BadInput


def written(home: Path, text: str) -> dict[str, str]:
    """A config.toml; gives the environment that leads to it."""
    home.mkdir(parents=True, exist_ok=True)
    (home / FILE).write_text(text, encoding="utf-8")
    return {"ASSISTANT_HOME": str(home)}


def loaded(home: Path) -> Settings:
    return load({}, {"ASSISTANT_HOME": str(home)})[0]


def test_without_anything_the_defaults_hold_and_nothing_is_written(home: Path) -> None:
    found, sources = load({}, {"ASSISTANT_HOME": str(home)})
    assert found == Settings(home)
    assert sources == {}
    assert not home.exists()


@pytest.mark.parametrize(
    ("file", "environment", "flags", "model", "source"),
    [
        ("", {}, {}, "", None),
        ("model = 'f'", {}, {}, "f", "file"),
        ("model = 'f'", {"ASSISTANT_MODEL": "e"}, {}, "e", "ASSISTANT_MODEL"),
        ("model = 'f'", {"ASSISTANT_MODEL": "e"}, {"model": "g"}, "g", "flag"),
        ("model = 'f'", {}, {"model": "g"}, "g", "flag"),
        ("model = 'f'", {"ASSISTANT_MODEL": ""}, {"model": None}, "f", "file"),
    ],
)
def test_flags_win_over_the_environment_over_the_file_over_defaults(
    home: Path, file: str, environment: Mapping[str, str], flags: Mapping[str, Any], model: str, source: str | None
) -> None:
    found, sources = load(flags, written(home, file) | environment)
    assert found.model == model
    assert sources.get("model") == source


def test_each_variable_reaches_its_setting(home: Path) -> None:
    environment = {
        "ASSISTANT_HOME": str(home),
        "ASSISTANT_CONTEXT_TOKENS": "4096",
        "ASSISTANT_MODELS_DIR": "/models",
        "ASSISTANT_EMBEDDING": "endpoint:org/embed-1:small",
        "OPENAI_BASE_URL": "http://127.0.0.1:1/v1",
        "OPENAI_API_KEY": "a-key",
    }
    found = load({}, environment)[0]
    assert found == Settings(
        home,
        context_tokens=4096,
        models_dir="/models",
        embedding="endpoint:org/embed-1:small",
        base_url="http://127.0.0.1:1/v1",
        api_key="a-key",
    )
    assert found.weights == Path("/models")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("modle = 'x'", "Did you mean model?"),
        ("zzz = 1", "See `assistant config`"),
        ("api_key = 'secret'", "no setting 'api_key'"),
        ("home = '/'", "no setting 'home'"),
        ("context_tokens = 'many'", "whole number"),
        ("context_tokens = -1", "whole number from 0"),
        ("context_tokens = 1.5", "whole number"),
        ("context_tokens = true", "whole number"),
        ("max_steps = 0", "whole number from 1"),
        ("model = 5", "a text"),
        ("embedding = 'text-embedding-3-small'", "It is minilm, multilingual, or endpoint: and a model's name there"),
        ("embedding = 'endpoint:'", "It is minilm"),
        ("embedding = ''", "It is minilm"),
        ("folders = [1]", "a list of texts"),
        ("[folders]", "a list of texts"),
        ("model = ", "cannot be read"),
        ("\ufeffmodel = 'x", "cannot be read"),
    ],
)
def test_what_a_file_has_wrong_is_told_with_its_remedy(home: Path, text: str, told: str) -> None:
    with pytest.raises(BadInput, match=re.escape(told)):
        load({}, written(home, text))


def test_a_wrong_variable_is_called_by_its_own_name(home: Path) -> None:
    with pytest.raises(BadInput, match="ASSISTANT_CONTEXT_TOKENS cannot be 'lots'"):
        load({}, {"ASSISTANT_HOME": str(home), "ASSISTANT_CONTEXT_TOKENS": "lots"})


# ---------------------------------------------------------------------- writing


@pytest.mark.parametrize("text", ["model = ", "modle = 'x'", "\x00"])
def test_a_file_that_is_not_understood_is_not_touched(home: Path, text: str) -> None:
    written(home, text)
    with pytest.raises(BadInput):
        store(home, "threads", "2")
    assert (home / FILE).read_text() == text


@pytest.mark.parametrize(("name", "value"), [("modle", "x"), ("threads", "two"), ("threads", "0"), ("api_key", "s")])
def test_a_refused_value_leaves_the_file_as_it_was(home: Path, name: str, value: str) -> None:
    written(home, "# mine\nmodel = 'x'\n")
    with pytest.raises(BadInput):
        store(home, name, value)
    assert (home / FILE).read_text() == "# mine\nmodel = 'x'\n"
    assert [path.name for path in home.iterdir()] == [FILE]


def test_the_owners_comments_and_order_survive(home: Path) -> None:
    before = "# the big one\nthreads = 2  # of four\n\n# where my notes lie\nfolders = [\n  '/notes',  # all\n]\n"
    written(home, before)
    store(home, "model", "gpt-4o-mini")
    store(home, "threads", "3")
    text = (home / FILE).read_text()
    assert text.startswith(before.replace("= 2", "= 3").rstrip())
    assert loaded(home) == Settings(home, model="gpt-4o-mini", threads=3, folders=("/notes",))
    store(home, "model", None)
    store(home, "model", None)  # what is not there can be taken out again
    assert (home / FILE).read_text().strip() == before.replace("= 2", "= 3").strip()


@pytest.mark.skipif(os.name != "posix", reason="only POSIX has such modes")
def test_the_file_is_for_its_owner_alone(home: Path) -> None:
    before = os.umask(0)
    try:
        store(home, "model", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((home / FILE).stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert [path.name for path in home.iterdir()] == [FILE]


texts = st.text(st.characters(), max_size=40)  # halves of surrogate pairs too: bytes that are no UTF-8
formed = {
    "embedding": [*EMBEDDINGS, "endpoint:m"],
    "tool_calls": ["auto", "schema"],
    "search": ["", "brave", "searxng:http://127.0.0.1:1"],
    "price": ["", "1,0.5,2.25"],
    "approve": ["", "writes=ask", "web_fetch=deny"],
    "otlp_endpoint": ["", "http://127.0.0.1:4318"],
}


def of_kind(name: str) -> st.SearchStrategy[tuple[str, Any]]:
    """A value of a setting as it is typed, and as it is read."""
    kind, least = KINDS[name], MINIMA.get(name, 0)
    if kind is int:
        return st.integers(least, 2**62).map(lambda each: (str(each), each))
    if kind is float:
        return st.floats(least, allow_nan=False, allow_infinity=False).map(lambda each: (repr(each), each))
    if kind is bool:
        return st.booleans().map(lambda each: (str(each), each))
    text = st.sampled_from(formed[name]) if name in formed else texts
    if kind is str:
        return text.map(lambda each: (each, each))
    return (
        st.lists(text, max_size=3)
        .map(os.pathsep.join)
        .map(lambda each: (each, tuple(filter(None, each.split(os.pathsep)))))
    )


values = st.sampled_from(NAMES).flatmap(lambda name: st.tuples(st.just(name), of_kind(name)))


@settings(deadline=None)
@given(st.lists(values, max_size=4))
def test_what_is_set_is_read_back_and_what_is_unset_is_a_default(chosen: list[tuple[str, tuple[str, Any]]]) -> None:
    with TemporaryDirectory() as folder:
        home = Path(folder, "home")
        expected: dict[str, Any] = {}
        for name, (value, read) in chosen:
            try:
                store(home, name, value)
            except BadInput:
                assert any("\ud800" <= each <= "\udfff" for each in value)
                continue
            expected[name] = read
        assert loaded(home) == Settings(home, **expected)
        for name in expected:
            store(home, name, None)
        assert loaded(home) == Settings(home)
