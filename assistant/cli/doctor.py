"""`assistant doctor`: check the memory, and mend it. 1 for damage, 0 for work that is owed."""

import os
from pathlib import Path

import click

from assistant.app import App
from assistant.cli.options import open_app
from assistant.cli.terminal import Output
from memory.errors import IndexUnavailable, StoreError
from memory.files import close_to_others
from memory.sync import rebuild


@click.command()
@click.option("--fix", is_flag=True, help="Mend: close files to others, build the full-text and vector index anew.")
def command(fix: bool) -> int:
    """Check files, store and index. Leaves with 1 where something is damaged; owed work is no damage."""
    app, output = open_app()
    damage = check_files(app, fix) + check_store(app, fix) + check_index(app, output, fix)
    for line in damage:
        output.error(line)
    for line in owed(app):
        click.echo(line)
    if not damage:
        click.echo(f"{app.settings.home} is sound.")
    elif not fix:
        output.note("Mend it with: assistant doctor --fix")
    return int(bool(damage))


def check_files(app: App, fix: bool) -> list[str]:
    """Whether others may read what is private."""
    home = app.settings.home
    if fix:
        close_to_others(home)
    return [f"{path} can be read by others." for path in [home, *home.rglob("*")] if open_to_others(path)]


def open_to_others(path: Path) -> bool:
    """Whether group or others have any right on a file or folder; Windows has no such modes."""
    if os.name != "posix" or path.is_symlink():
        return False
    return path.exists() and bool(path.stat().st_mode & 0o077)


def check_store(app: App, fix: bool) -> list[str]:
    """Whether the SQLite file is sound; its full-text index is built anew when asked for."""
    store = app.memory.store
    try:
        damage = store.damage()
        if damage and fix:
            store.rebuild_words()
            damage = store.damage()
    except StoreError as error:
        return [str(error)]
    return [f"The store: {line}." for line in damage]


def check_index(app: App, output: Output, fix: bool) -> list[str]:
    """Whether the index holds what the store says it holds."""
    store = app.memory.store
    if fix:
        rebuild(store, app.index)
        with output.progress("making vectors", 1.0) as progress:
            app.memory.sync(progress=lambda done, total: progress.update(done / total, f"{done} of {total}"))
    if not store.rows("SELECT 1 FROM vectors LIMIT 1"):
        return []
    try:
        there, listed = app.index.check(), store.count_indexed(app.index.collection)
    except IndexUnavailable as error:
        return [error.message]
    return [] if there == listed else [f"The index holds {there} vectors where the store lists {listed}."]


def owed(app: App) -> list[str]:
    """What is to be done yet, in lines; the next chat does it."""
    store = app.memory.store
    sessions = len(store.owed(""))
    vectors = store.count_unindexed(app.index.collection)
    lines = [f"{sessions} sessions are owed notes (assistant sessions summarize --pending)."] if sessions else []
    return lines + ([f"{vectors} vectors are to be made; words find everything."] if vectors else [])
