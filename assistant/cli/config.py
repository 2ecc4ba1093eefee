"""`assistant config`: show and change settings."""

import os
from pathlib import Path

import click

from assistant import settings as settings_file
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
    for name in settings_file.NAMES:
        text = shown(getattr(settings, name))
        rows.append((name, text, sources.get(name, "default"), settings_file.about(name)))
    for name in settings_file.SECRETS:
        about = f"{settings_file.about(name).partition(';')[0]}: from the environment only, never shown"
        rows.append((name, "set" if getattr(settings, name) else "", sources.get(name, "default"), about))
    Output().table(["setting", "value", "from", "what it is"], rows)


@command.command("set")
@click.argument("name")
@click.argument("value")
def set_(name: str, value: str) -> None:
    """Write a setting into config.toml."""
    settings_file.store(home(), name, value)
    tell(name)


@command.command()
@click.argument("name")
def unset(name: str) -> None:
    """Take a setting out of config.toml."""
    settings_file.store(home(), name, None)
    tell(name)


@command.command()
def path() -> None:
    """Print where config.toml lies."""
    click.echo(home() / settings_file.FILE)


def home() -> Path:
    """The owner's folder, found without config.toml: a file with an error can still be found and changed."""
    return settings_file.home_folder(os.environ)


def tell(name: str) -> None:
    """Say what a setting is now, and where from: the environment wins over the file."""
    settings, sources = settings_file.load()
    output = Output()
    output.note(f"{name} is {shown(getattr(settings, name))!r} now, from {sources.get(name, 'default')}.")
    if name == "embedding":
        output.note(about_embedding(settings.embedding))


def about_embedding(chosen: str) -> str:
    """What comes of another embedding model."""
    from memory import multilingual

    if chosen == "multilingual" and not multilingual.installed():
        return f"Its package is missing. {multilingual.REMEDY}"
    return "Vectors made by another model answer until its own are there: the next chat makes them, or doctor --fix."


def shown(value: object) -> str:
    """A setting's value as people write it."""
    return os.pathsep.join(value) if isinstance(value, tuple) else str(value)
