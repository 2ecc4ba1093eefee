"""`assistant models`: the models there are, and how to get more."""

from pathlib import Path

import click

from assistant.cli.options import file_path, open_app
from assistant.cli.terminal import Output
from memory.errors import Failure

BETTER = """\
For better answers, one of these:
  OPENAI_API_KEY=...                          a model of OpenAI's
  OPENAI_BASE_URL=http://HOST/v1              any server that speaks its API
  assistant models pull qwen2.5-coder-1.5b    a larger one on this machine
  assistant models add FILE.gguf              a file of your own
and choose it with --model NAME, or for good: assistant config set model NAME"""


@click.group(invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """The models there are, and how to get more."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_)


@command.command("list")
def list_() -> None:
    """List the model files of this machine, those that can be pulled, and what answers now."""
    from assistant.models import local_files
    from assistant.weights import installed

    app, output = open_app()
    there = {one.name: one for one in installed(app.settings.weights)}
    rows = [(name, f"{one.bytes / 1e6:,.0f} MB", "on this machine") for name, one in there.items()]
    for one in local_files():
        if one.name not in there:
            rows.append((one.name, f"{one.bytes / 1e6:,.0f} MB", f"assistant models pull {one.name}"))
    output.table(["model", "size", "where, or how to get it"], rows)
    try:
        choice = app.choice
        where = "inside this program" if choice.embedded else f"at {app.endpoint.host}"
        output.note(f"{choice.name}, {where}, answers now (window {choice.info.context_tokens:,} tokens).")
    except Failure as error:
        output.note(f"None answers now: {error}")
    output.note(BETTER)


@command.command()
@click.argument("file", type=file_path(exists=True))
@click.option("--name", help="Its name here; default: the file's.")
def add(file: Path, name: str | None) -> None:
    """Add a model file of your own (GGUF)."""
    from assistant.weights import add as add_file

    app, output = open_app()
    with output.progress(f"adding {file.name}", 1.0) as progress:
        added = add_file(file, app.settings.weights, name, lambda done, total: progress.update(done / max(1, total)))
    output.note(f"Added. Use it with: assistant chat --model {added.name}")


@command.command()
@click.argument("name")
def pull(name: str) -> None:
    """Fetch a model file of the table, whole and checked. Ctrl-C keeps what came; pull again to go on."""
    app, output = open_app()
    fetch(app.settings.weights, output, name)
    output.note(f"Ready. Use it with: assistant chat --model {name}")


def fetch(folder: Path, output: Output, name: str) -> Path:
    """Pull a model with its progress shown."""
    from assistant.weights import pull as pull_file

    with output.progress(f"fetching {name}", 1.0) as progress:

        def show(done: int, total: int) -> None:
            progress.update(done / max(1, total), f"{done / 1e6:,.0f} of {total / 1e6:,.0f} MB")

        return pull_file(name, folder, output.note, show)
