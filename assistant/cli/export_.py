"""`assistant export`: the memory as a file."""

from pathlib import Path

import click

from assistant.cli.options import open_app, session_named


@click.command()
@click.argument("path", required=False, type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@click.option("--format", "form", type=click.Choice(["md", "json", "jsonl"]), help="Default: by PATH's ending, or md.")
@click.option("--session", "session_id", metavar="ID", help="Only this session.")
def command(path: Path | None, form: str | None, session_id: str | None) -> None:
    """Write sessions, summaries, facts and what was remembered to PATH, or to standard output."""
    from memory.export import write, write_file

    app, output = open_app()
    store = app.memory.store
    sessions = [session_named(store, session_id)] if session_id else store.sessions()[::-1]
    to_file = path is not None and str(path) != "-"
    ending = path.suffix[1:] if path else ""
    form = form or (ending if ending in ("md", "json", "jsonl") else "md")
    if to_file and path:
        write_file(store, sessions, path, form)
        output.note(f"Wrote {len(sessions)} sessions to {path}.")
    else:
        write(store, sessions, click.get_text_stream("stdout"), form)
