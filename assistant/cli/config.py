"""`assistant config`: show and change settings."""

from dataclasses import fields

import click

from assistant import settings as settings_file
from assistant.cli.options import open_app
from assistant.cli.terminal import Output


@click.group(invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """Show and change settings: file, environment and flags over the defaults."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_)


@command.command("list")
def list_() -> None:
    """Show every setting, its value and where that comes from."""
    settings, sources = settings_file.load()
    rows = [("home", str(settings.home), "ASSISTANT_HOME or default", "all of your data")]
    for one in fields(settings):
        if one.name in settings_file.NAMES:
            value = getattr(settings, one.name)
            text = ", ".join(value) if isinstance(value, tuple) else str(value)
            rows.append((one.name, text, sources.get(one.name, "default"), one.metadata["about"]))
    rows.append(("api_key", "set" if settings.api_key else "", sources.get("api_key", "default"), "never shown"))
    Output().table(["setting", "value", "from", "what it is"], rows)


@command.command("set")
@click.argument("name")
@click.argument("value")
def set_(name: str, value: str) -> None:
    """Write a setting into config.toml."""
    app, output = open_app()
    settings_file.store(app.settings.home, name, value)
    output.note(f"{name} is {value!r} now.")


@command.command()
@click.argument("name")
def unset(name: str) -> None:
    """Take a setting out of config.toml."""
    app, output = open_app()
    settings_file.store(app.settings.home, name, None)
    output.note(f"{name} is at its default now.")


@command.command()
def path() -> None:
    """Print where config.toml lies."""
    app, _ = open_app()
    click.echo(app.settings.home / settings_file.FILE)
