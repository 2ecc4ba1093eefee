"""`assistant export`: the memory as a file."""

from pathlib import Path

import click

from assistant.cli.options import count, open_app, session_named
from assistant.cli.terminal import document_stream
from memory.backup import carried
from memory.export import Format, write, write_file


@click.command()
@click.argument("path", required=False, type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@click.option("--format", "form", type=click.Choice(["md", "json", "jsonl"]), help="Default: by PATH's ending, or md.")
@click.option("--session", "session_id", metavar="ID", help="Only this session.")
def command(path: Path | None, form: Format | None, session_id: str | None) -> None:
    """Write sessions, summaries, facts and what was remembered to PATH, or to standard output."""
    app, output = open_app()
    store = app.memory.store
    sessions = [session_named(store, session_id)] if session_id else store.sessions()[::-1]
    form = form or form_of(path)
    if path is None or str(path) == "-":
        with document_stream() as out:
            write(store, sessions, out, form)
        return
    write_file(store, sessions, path, form)
    carried(store, app.settings.home, path, "export", app.memory.now())
    output.note(f"Wrote {count(len(sessions), 'session')} to {path}.")


def form_of(path: Path | None) -> Format:
    """The format that a file's ending names; md for any other."""
    endings: dict[str, Format] = {".json": "json", ".jsonl": "jsonl"}
    return endings.get(path.suffix, "md") if path else "md"
