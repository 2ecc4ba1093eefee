"""Settings: a frozen value made from defaults, the file config.toml, the environment and flags, later ones winning."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, get_args

from memory.errors import BadInput

FILE = "config.toml"
ENVIRONMENT = {
    "model": "ASSISTANT_MODEL",
    "context_tokens": "ASSISTANT_CONTEXT_TOKENS",
    "embedding": "ASSISTANT_EMBEDDING",
    "models_dir": "ASSISTANT_MODELS_DIR",
    "base_url": "OPENAI_BASE_URL",
    "api_key": "OPENAI_API_KEY",
}


@dataclass(frozen=True)
class Settings:
    """What the owner chose. The texts of the fields are what `assistant config` shows."""

    home: Path
    model: str = field(default="", metadata={"about": "the model that answers; empty: chosen by what is there"})
    base_url: str = field(default="", metadata={"about": "an OpenAI-compatible endpoint, up to and with /v1"})
    api_key: str = field(default="", metadata={"about": "the endpoint's key; from the environment only"})
    context_tokens: int = field(default=0, metadata={"about": "the model's window in tokens; 0: from the model table"})
    recall_tokens: int = field(default=1000, metadata={"about": "room in tokens for what is recalled before a turn"})
    tool_tokens: int = field(default=2000, metadata={"about": "the most tokens of one tool's result"})
    max_steps: int = field(default=10, metadata={"about": "model calls in one turn"})
    folders: tuple[str, ...] = field(default=(), metadata={"about": "folders that the tool read_file may read"})
    embedding: str = field(
        default="minilm",
        metadata={"about": "what makes vectors: minilm, multilingual (an extra), or endpoint:NAME of /embeddings"},
    )
    embedding_base_url: str = field(default="", metadata={"about": "the endpoint for it, where it is not base_url"})
    models_dir: str = field(default="", metadata={"about": "where GGUF files lie; empty: models/ in the home"})
    threads: int = field(default=1, metadata={"about": "processor threads for the embedded model"})

    @property
    def weights(self) -> Path:
        """The folder of GGUF files."""
        return Path(self.models_dir).expanduser() if self.models_dir else self.home / "models"


NAMES = tuple(one.name for one in fields(Settings) if one.name not in ("home", "api_key"))
KINDS = {one.name: one.type for one in fields(Settings)}
EMBEDDINGS = ("minilm", "multilingual")  # the embedding models inside this program
ENDPOINT = "endpoint:"  # before the name of any other: texts go to an endpoint only where that is said
MINIMA = {"max_steps": 1, "threads": 1, "tool_tokens": 50}


def home_folder(environment: Mapping[str, str]) -> Path:
    """Where all of the owner's data lies: ASSISTANT_HOME, else the platform's folder for user data."""
    chosen = environment.get("ASSISTANT_HOME")
    if chosen:
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_data_path

    return user_data_path("assistant", appauthor=False)


def load(
    flags: Mapping[str, Any] | None = None, environment: Mapping[str, str] = os.environ
) -> tuple[Settings, dict[str, str]]:
    """The settings, and for each that is not a default where it came from.

    Raises BadInput for a file that is no TOML, an unknown name or a value of the wrong type.
    """
    home = home_folder(environment)
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    given = {name: environment[var] for name, var in ENVIRONMENT.items() if environment.get(var)}
    for source, found in (("file", read(home / FILE)), ("environment", given), ("flag", flags or {})):
        for name, value in found.items():
            if value is not None:
                values[name] = checked(name, value, ENVIRONMENT.get(name, name) if source == "environment" else name)
                sources[name] = ENVIRONMENT[name] if source == "environment" else source
    return Settings(home=home, **values), sources


def read(path: Path) -> dict[str, Any]:
    """What the file config.toml says; nothing where there is none."""
    try:
        text = path.read_text(encoding="utf-8")
        import tomllib

        found = tomllib.loads(text)
    except FileNotFoundError:
        return {}
    except (ValueError, OSError) as error:  # tomllib's and the decoder's errors are ValueErrors
        raise BadInput(f"{path} cannot be read: {error}.", "Mend it or move it away.") from error
    for name in found:
        known(name)
    return found


def known(name: str) -> str:
    """`name`, if it is a setting that a file may hold. Raises BadInput, with the nearest name."""
    if name not in NAMES:
        import difflib

        near = difflib.get_close_matches(name, NAMES, 1)
        raise BadInput(
            f"There is no setting {name!r}.", f"Did you mean {near[0]}?" if near else "See `assistant config`."
        )
    return name


def checked(name: str, value: object, called: str) -> object:
    """A value in its setting's type; text is converted where that is exact. Raises BadInput."""
    kind = KINDS[name]
    if kind is int:
        return _number(name, value, called)
    if get_args(kind):
        entries = value.split(os.pathsep) if isinstance(value, str) else value
        if isinstance(entries, (list, tuple)) and all(isinstance(one, str) for one in entries):
            return tuple(one for one in entries if one)
    elif isinstance(value, str):
        return _embedding(value, called) if name == "embedding" else value
    raise BadInput(f"{called} cannot be {value!r}.", "It is a list of texts." if get_args(kind) else "It is a text.")


def _embedding(value: str, called: str) -> str:
    if value in EMBEDDINGS or value.removeprefix(ENDPOINT) not in ("", value):
        return value
    raise BadInput(
        f"{called} cannot be {value!r}.", f"It is {', '.join(EMBEDDINGS)}, or {ENDPOINT} and a model's name there."
    )


def _number(name: str, value: object, called: str) -> int:
    try:
        number = int(value) if isinstance(value, str) else value
    except ValueError:
        number = value
    if not isinstance(number, int) or isinstance(number, bool) or number < MINIMA.get(name, 0):
        raise BadInput(f"{called} cannot be {value!r}.", f"It is a whole number from {MINIMA.get(name, 0)} on.")
    return number


def store(home: Path, name: str, value: str | None) -> None:
    """Write one setting into config.toml, keeping the owner's comments; None takes it out."""
    import tomlkit

    from memory.files import private_file

    read(home / FILE)  # refuses to touch a file that it cannot understand
    path = private_file(home / FILE)
    document = tomlkit.parse(path.read_text(encoding="utf-8"))
    if value is None:
        document.pop(known(name), None)
    else:
        converted = checked(known(name), value, name)
        document[name] = list(converted) if isinstance(converted, tuple) else converted
    try:
        data = tomlkit.dumps(document).encode()
    except UnicodeEncodeError as error:  # bytes of a command line that are no UTF-8
        raise BadInput(f"{name} cannot be {value!r}.", "It is no text.") from error
    temporary = private_file(path.with_suffix(".new"))
    temporary.write_bytes(data)
    temporary.replace(path)
