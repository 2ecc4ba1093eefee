"""Lets the case of a trajectory happen: a real conversation, in a home of its own that is thrown away afterwards."""

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from assistant.app import App, Choice, Say
from assistant.approval import Answer
from assistant.chat import Chat
from assistant.errors import LimitReached, ModelError
from assistant.llm import Cancelled, Endpoint, Sending
from assistant.models import Prices
from assistant.reply import Delta, Reply
from assistant.settings import Settings
from assistant.trajectories import Call, Case, Outcome, Said
from assistant.wire import to_bytes, to_wire
from memory.errors import BadInput, Failure
from memory.importers.run import import_file
from memory.manager import Recalled
from memory.records import Message, Spent
from memory.records import Outcome as Sent
from tools.arguments import quoted

SCRIPTED = "scripted"
SCRIPT_WINDOW = 128_000  # tokens; a script reads nothing, so all tools and all that is recalled have room


class Script(Endpoint):
    """An endpoint without a server: it answers with what a script says next."""

    def __init__(self, answers: Sequence[Said]) -> None:
        super().__init__(SCRIPTED)
        self.left = list(answers)

    def stream(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]] = (),
        max_tokens: int | None = None,
        schema: Mapping[str, Any] | None = None,
        cancelled: Cancelled | None = None,
        sending: Sending | None = None,
        deadline_s: float | None = None,
    ) -> Iterator[Delta | Reply]:
        """The next answer of the script. Raises ModelError where it has none left."""
        request = {"model": self.model, "messages": [to_wire(one) for one in messages], "stream": True}
        request |= {"tools": list(tools)} if tools else {}
        ended = sending(request, to_bytes(request)) if sending else None
        if not self.left:
            raise ModelError("The script has no answer left.", "Add what the model says next, or mend what it called.")
        answer = self.left.pop(0)
        finish = "tool_calls" if answer.calls else "stop"
        if answer.text:
            yield Delta(answer.text)
        if ended:
            ended(Sent(0, finish))
        yield Reply(answer.text, answer.calls, finish, None, self.model, "")


class ScriptedApp(App):
    """The program's parts with a script in the place of the model."""

    def __init__(self, settings: Settings, say: Say, script: Script) -> None:
        super().__init__(settings, say)
        self._script = script

    @cached_property
    def choice(self) -> Choice:
        """The script, with the window of the settings if they give one."""
        window = self.settings.context_tokens or SCRIPT_WINDOW
        return Choice(SCRIPTED, replace(self._info(SCRIPTED), context_tokens=window), embedded=False)

    @property
    def prices(self) -> Prices:
        """A script costs nothing."""
        return Prices(0.0, None, 0.0, None, "", "a script")

    @property
    def endpoint(self) -> Endpoint:
        """The script, which answers at once."""
        return self._script


def rehearsed(case: Case, settings: Settings, say: Say, scripted: bool) -> tuple[Outcome, Spent]:
    """What happens where a case's question is asked, and what it takes. What is wrong is told in the outcome.

    The tools are those of the settings, but for the folders of files. Raises KeyboardInterrupt alone.
    """
    script = Script(case.script if scripted else ())
    with tempfile.TemporaryDirectory(prefix="assistant-trajectory-") as name:
        home, folder = Path(name).resolve() / "home", Path(name).resolve() / "files"
        folder.mkdir()
        own = _own(case, settings, home, folder)
        app = ScriptedApp(own, say, script) if scripted else App(own, say)
        with closing(app):
            outcome, spent = _answered(app, case, folder)
        return replace(outcome, files=_read(folder), unasked=len(script.left)), spent


def _own(case: Case, settings: Settings, home: Path, folder: Path) -> Settings:
    """The settings of a case: the owner's, but for its limits, and without the owner's memory and folders."""
    has_files = case.files or case.expected.files or settings.folders or settings.shell
    chosen: dict[str, Any] = {
        "home": home,
        "models_dir": str(settings.weights),
        "otlp_endpoint": "",  # a rehearsal is no conversation of the owner's
        "folders": (str(folder),) if has_files else (),
        **case.limits,
    }
    return settings._replace(**chosen)


def _answered(app: App, case: Case, folder: Path) -> tuple[Outcome, Spent]:
    try:
        _write(folder, case.files)
        _remember(app, case)
        chat = app.chat(lambda _question: Answer(case.approve))
    except Failure as error:
        return Outcome((), "", failure=str(error)), Spent()
    recalled, ended = _asked(chat, case.question)
    said = [message for message in chat.session.transcript if message.role == "assistant"]
    outcome = Outcome(
        tuple(Call(call.name, _arguments(call.arguments)) for message in said for call in message.tool_calls),
        said[-1].content if said else "",
        recalled,
        at_limit=isinstance(ended, LimitReached),
        failure="" if ended is None or isinstance(ended, LimitReached) else str(ended),
    )
    return outcome, app.memory.receipts.spent("session_id", chat.session.id)


def _asked(chat: Chat, question: str) -> tuple[str, Failure | None]:
    """What was recalled for a question, and what ended its turn if that was no answer."""
    recalled = ""
    try:
        with closing(chat.turn(question)) as events:
            for event in events:
                if isinstance(event, Recalled):
                    recalled = "\n".join(hit.text for hit in event.hits)
    except Failure as error:
        return recalled, error
    finally:
        chat.end()
    return recalled, None


def _remember(app: App, case: Case) -> None:
    """Put the sessions of a case into its memory, with their vectors."""
    if not case.memory:
        return
    path = app.settings.home / "sessions.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(map(json.dumps, case.memory)), encoding="utf-8")
    import_file(path, app.memory.store, app.counter, mine=True, owes=False)
    app.memory.sync()


def _arguments(text: str) -> Mapping[str, Any] | str:
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return text
    return found if isinstance(found, dict) else text


def _write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="")
        except OSError as error:
            raise BadInput(
                f"The file {quoted(name)} cannot be written: {error.strerror}.", "Name it otherwise."
            ) from error


def _read(folder: Path) -> dict[str, str]:
    """The files as they are now, by their paths in the folder."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes().decode(errors="replace") for path in found}
