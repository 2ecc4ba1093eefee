"""Settings: a frozen value made from defaults, the file config.toml, the environment and flags, later ones winning."""

import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_args, get_type_hints

from memory.errors import BadInput
from memory.files import PROFILES, check_home

FILE = "config.toml"
PROFILE = "ASSISTANT_PROFILE"
PROFILE_NAME = r"[a-z0-9][a-z0-9_-]{0,31}"
ENVIRONMENT = {
    "model": "ASSISTANT_MODEL",
    "context_tokens": "ASSISTANT_CONTEXT_TOKENS",
    "embedding": "ASSISTANT_EMBEDDING",
    "models_dir": "ASSISTANT_MODELS_DIR",
    "base_url": "OPENAI_BASE_URL",
    "api_key": "OPENAI_API_KEY",
    "search_key": "ASSISTANT_SEARCH_KEY",
}
SECRETS = ("api_key", "search_key")  # from the environment only, never shown


class Settings(NamedTuple):
    """What the owner chose. The texts of the fields are what `assistant config` shows."""

    home: Path
    base: Path | None = None  # of a profile: the home that it lies in
    model: Annotated[str, "the model that answers; empty: chosen by what is there"] = ""
    base_url: Annotated[str, "an OpenAI-compatible endpoint, up to and with /v1"] = ""
    api_key: Annotated[str, "the endpoint's key; from the environment only"] = ""
    context_tokens: Annotated[int, "the model's window in tokens; 0: from the model table"] = 0
    recall_tokens: Annotated[int, "room in tokens for what is recalled before a turn"] = 1000
    pinned_tokens: Annotated[int, "room in tokens for pinned facts, in every prompt"] = 300
    mask_secrets: Annotated[
        bool, "keys, passwords and card numbers are masked before anything is stored; false: stored in plain"
    ] = True
    keep_secrets: Annotated[bool, "keep messages with what was masked in them, too, in a table apart"] = False
    review_facts: Annotated[bool, "every new fact waits for your review"] = False
    tool_tokens: Annotated[int, "the most tokens of one tool's result"] = 2000
    tool_seconds: Annotated[float, "how long one call of a tool may take"] = 60.0
    tool_calls: Annotated[str, "how tools are offered: auto, or schema where the model writes no calls by itself"] = (
        "auto"
    )
    max_steps: Annotated[int, "model calls in one turn; a helper has as many of its own"] = 10
    max_tokens: Annotated[int, "tokens of one turn, prompts and replies; 0: no limit"] = 0
    max_seconds: Annotated[float, "how long one turn may take; 0: no limit"] = 0.0
    max_usd: Annotated[float, "what one turn may cost, in USD; 0: no limit"] = 0.0
    session_steps: Annotated[int, "model calls in one session, helpers' too; 0: no limit"] = 0
    session_tokens: Annotated[int, "tokens of one session, notes included; 0: no limit"] = 0
    session_seconds: Annotated[float, "how long a session's turns may take in sum"] = 0.0
    session_usd: Annotated[float, "what one session may cost, in USD; 0: no limit"] = 0.0
    price: Annotated[str, "USD per million tokens where the model table is silent: PROMPT,CACHED,REPLY"] = ""
    approve: Annotated[
        tuple[str, ...], "NAME=ask, allow or deny for a tool or an effect: reads, writes, network, executes"
    ] = ()
    folders: Annotated[tuple[str, ...], "folders that the file tools may use"] = ()
    own_tools: Annotated[tuple[str, ...], "Python files or folders with tools of your own"] = ()
    shell: Annotated[bool, "offer the tool that runs commands, each after your yes"] = False
    search: Annotated[str, "what web_search asks: tavily, brave, or searxng:URL"] = ""
    search_key: Annotated[str, "the key of the search service"] = ""
    private_addresses: Annotated[bool, "let pages be fetched from this machine and its own network"] = False
    helpers: Annotated[int, "helpers that may work at the same time; 0: none"] = 4
    show_reasoning: Annotated[bool, "show the model's thoughts, dimmed"] = False
    otlp_endpoint: Annotated[str, "where traces go as OpenTelemetry; empty: nowhere"] = ""
    otlp_content: Annotated[bool, "send the words of messages there, too"] = False
    embedding: Annotated[
        str, "what makes vectors: minilm, multilingual (an extra), or endpoint:NAME of /embeddings"
    ] = "minilm"
    plain_vectors: Annotated[bool, "keep vectors of an encrypted memory, in plain; without: recall by words alone"] = (
        False
    )
    embedding_base_url: Annotated[str, "the endpoint for it, where it is not base_url"] = ""
    models_dir: Annotated[str, "where GGUF files lie; empty: models/ in the home"] = ""
    threads: Annotated[int, "processor threads for the embedded model"] = 1

    @property
    def profile(self) -> str:
        """The profile's name; empty for the base home."""
        return self.home.name if self.base else ""

    @property
    def weights(self) -> Path:
        """The folder of GGUF files."""
        return Path(self.models_dir).expanduser() if self.models_dir else self._shared("models")

    @property
    def tables(self) -> Path:
        """The folder of the tokenizers' tables."""
        return self._shared("cache")

    def _shared(self, name: str) -> Path:
        """A folder that holds nothing of the owner's: a profile without one of its own uses that of the base home."""
        own = self.home / name
        return own if self.base is None or own.exists() else self.base / name


NAMES = tuple(name for name in Settings._fields if name not in ("home", "base", *SECRETS))
KINDS = get_type_hints(Settings)
EMBEDDINGS = ("minilm", "multilingual")  # the embedding models inside this program
ENDPOINT = "endpoint:"  # before the name of any other: texts go to an endpoint only where that is said
MINIMA = {"max_steps": 1, "threads": 1, "tool_tokens": 50, "tool_seconds": 1}
# Texts of a form: what fits whole, and how it is told.
FORMS = {
    "embedding": (
        rf"{'|'.join(EMBEDDINGS)}|{ENDPOINT}.+",
        f"{', '.join(EMBEDDINGS)}, or {ENDPOINT} and a model's name there",
    ),
    "tool_calls": ("auto|schema", "auto or schema"),
    "search": (r"|tavily|brave|searxng:https?://.+", "tavily, brave, or searxng: and the address of one"),
    "price": (r"|(\d+(\.\d+)?,){2}\d+(\.\d+)?", "three numbers with commas between them: PROMPT,CACHED,REPLY"),
    "approve": (r"\w[\w-]*=(ask|allow|deny)", "NAME=ask, NAME=allow or NAME=deny"),
    "otlp_endpoint": (r"|https?://.+", "an address that begins with http"),
}


def home_folder(environment: Mapping[str, str]) -> Path:
    """Where all of the owner's data lies: the base home, or the folder in it of the profile that is chosen.

    Raises BadInput for a profile whose name is none.
    """
    base, profile = base_folder(environment), environment.get(PROFILE)
    return base / PROFILES / profile_name(profile) if profile else base


def profile_name(name: str) -> str:
    """`name`, if a profile may be called so: it becomes the name of a folder. Raises BadInput."""
    if re.fullmatch(PROFILE_NAME, name):
        return name
    raise BadInput(
        f"{name!r} is no name of a profile.", "It is a word of up to 32 letters a to z, digits, - and _, as in `work`."
    )


def profiles(environment: Mapping[str, str]) -> list[str]:
    """The names of the profiles that there are, in order."""
    folder = base_folder(environment) / PROFILES
    if folder.is_symlink() or not folder.is_dir():
        return []
    found = [each for each in folder.iterdir() if each.is_dir() and not each.is_symlink()]
    return sorted(each.name for each in found if re.fullmatch(PROFILE_NAME, each.name))


def base_folder(environment: Mapping[str, str]) -> Path:
    """The base home: ASSISTANT_HOME, else the platform's folder for user data."""
    chosen = environment.get("ASSISTANT_HOME")
    if chosen:
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_data_path

    return user_data_path("assistant", appauthor=False)


def load(
    flags: Mapping[str, Any] | None = None, environment: Mapping[str, str] = os.environ
) -> tuple[Settings, dict[str, str]]:
    """The settings, and for each that is not a default where it came from.

    Raises BadInput for a file that is no TOML, an unknown name or a value of the wrong type, and Failure for a home
    that is another user's, or from which links lead out: its settings are not its owner's word.
    """
    home, base = home_folder(environment), base_folder(environment)
    for folder in dict.fromkeys((base, home)):
        check_home(folder)
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    given = {name: environment[var] for name, var in ENVIRONMENT.items() if environment.get(var)}
    for source, found in (("file", read(home / FILE)), ("environment", given), ("flag", flags or {})):
        for name, value in found.items():
            if value is not None:
                values[name] = checked(name, value, ENVIRONMENT.get(name, name) if source == "environment" else name)
                sources[name] = ENVIRONMENT[name] if source == "environment" else source
    return Settings(home=home, base=None if home == base else base, **values), sources


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


def about(name: str) -> str:
    """What `assistant config` says of a setting."""
    text: str = get_type_hints(Settings, include_extras=True)[name].__metadata__[0]
    return text


def checked(name: str, value: object, called: str) -> object:
    """A value in its setting's type; text is converted where that is exact. Raises BadInput."""
    kind = KINDS[name]
    if kind is bool:
        return _switch(value, called)
    if kind in (int, float):
        return _number(name, value, called)
    if get_args(kind):
        entries = value.split(os.pathsep) if isinstance(value, str) else value
        if isinstance(entries, (list, tuple)) and all(isinstance(one, str) for one in entries):
            return tuple(_formed(name, one, called) for one in entries if one)
    elif isinstance(value, str):
        return _formed(name, value, called)
    raise BadInput(f"{called} cannot be {value!r}.", "It is a list of texts." if get_args(kind) else "It is a text.")


def _formed(name: str, value: str, called: str) -> str:
    pattern, form = FORMS.get(name, (".*", ""))
    if re.fullmatch(pattern, value, re.DOTALL):
        return value
    raise BadInput(f"{called} cannot be {value!r}.", f"It is {form}.")


def _switch(value: object, called: str) -> bool:
    found = value if isinstance(value, bool) else {"true": True, "false": False}.get(str(value).lower())
    if found is None:
        raise BadInput(f"{called} cannot be {value!r}.", "It is true or false.")
    return found


def _number(name: str, value: object, called: str) -> int | float:
    whole = KINDS[name] is int
    try:
        number = (int if whole else float)(value) if isinstance(value, str) else value
    except ValueError:
        number = value
    kinds = (int,) if whole else (int, float)
    least = MINIMA.get(name, 0)
    if not isinstance(number, kinds) or isinstance(number, bool) or not least <= number < math.inf:
        raise BadInput(f"{called} cannot be {value!r}.", f"It is a {'whole ' if whole else ''}number from {least} on.")
    return number if whole else float(number)


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
