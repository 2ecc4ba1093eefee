"""`assistant import`: conversations from a file."""

from pathlib import Path

import click

from assistant.app import App
from assistant.cli.options import count, file_path, first_few, open_to_write
from assistant.cli.sessions import settle
from assistant.cli.terminal import Output


@click.command()
@click.argument("path", type=file_path(exists=True))
@click.option("--from", "form", type=click.Choice(["auto", "jsonl"]), default="auto", show_default=True)
@click.option("--mine", is_flag=True, help="It is an export of your own: keep the origins that it names.")
@click.option("--no-embed", is_flag=True, help="Do not make vectors now; the next chat makes them.")
@click.option(
    "--summarize",
    type=click.Choice(["none", "lazy", "now"]),
    default="none",
    show_default=True,
    help="Have the model write notes where there are none: never, at the next chat, or now.",
)
def command(path: Path, form: str, mine: bool, no_embed: bool, summarize: str) -> int:
    """Read conversations from PATH: JSON lines, or the JSON of an export. Doing it twice changes nothing."""
    from memory.importers.run import import_file

    app, output = open_to_write()
    with output.progress(f"reading {path.name}", path.stat().st_size) as progress:
        report = import_file(
            path,
            app.memory.store,
            app.counter,
            mine=mine,
            owes=summarize != "none",
            progress=lambda done, _total: progress.update(done),
        )
    new = (count(report.sessions, "session"), count(report.messages, "message"), count(report.facts, "fact"))
    click.echo(f"{', '.join(new)} are new.")
    if report.conflicts:
        output.note(f"There already, with other words, and left as they are: {count(report.conflicts, 'message')}.")
    if report.forgotten:
        output.note(f"Left out, since they were forgotten: {report.forgotten:,} messages and facts.")
    for line in first_few([f"line {bad.line}: {bad.reason}" for bad in report.bad]):
        output.error(line)
    if not no_embed:
        embed(app, output)
    if summarize == "now":
        settle(app, output)
    return int(bool(report.bad))


def embed(app: App, output: Output) -> None:
    """Make the vectors that are missing. Words find everything already; Ctrl-C leaves the rest for later."""
    with output.progress("making vectors (words are found already)", 1.0) as progress:
        app.memory.sync(progress=lambda done, total: progress.update(done / total, f"{done} of {total}"))
