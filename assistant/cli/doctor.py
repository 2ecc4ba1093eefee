"""`assistant doctor`: check the memory, and mend it. 1 for damage, 0 for work that is owed."""

import os
from pathlib import Path

import click

from assistant.app import App
from assistant.cli.options import count, open_app, settle_forgetting
from assistant.cli.terminal import Output
from memory.answering import held, replaced
from memory.errors import Failure, IndexUnavailable, StoreError
from memory.files import close_to_others, lies_in
from memory.index import Index, Unit
from memory.store import Store
from memory.sync import rebuild

QUICK_BYTES = 200_000_000  # a model file up to this size is read in half a second, so it is always checked
SHOWN = 10  # lines of damage of one kind


@click.command()
@click.option("--fix", is_flag=True, help="Mend: close files to others, build the indexes anew, drop bad model files.")
@click.option("--models", is_flag=True, help="Check large model files, too; they are read whole.")
def command(fix: bool, models: bool) -> int:
    """Check files, store, index and models. Leaves with 1 where something is damaged; owed work is no damage."""
    app, output = open_app()
    try:
        if fix:
            settle_forgetting(app, output)
        for line in overview(app):
            click.echo(line)
        damage = [*check_files(app, fix), *check_store(app, fix), *check_secrets(app, fix)]
        damage += check_index(app, output, fix)
    except StoreError as error:
        if "doctor" not in error.remedy:  # a full disk, a lock: the store is not damaged
            raise
        raise Failure(error.message, "Put a copy of it back, or import an export into another home.") from error
    damage += check_models(app, output, fix, models)
    for line in damage:
        output.error(line)
    for line in owed(app):
        click.echo(line)
    if not damage:
        click.echo("All is sound.")
    elif not fix:
        output.note("Mend it with: assistant doctor --fix")
    return int(bool(damage))


def overview(app: App) -> list[str]:
    """Where the memory lies and how much there is."""
    home, number = app.settings.home, app.memory.store.number
    size = sum(path.stat().st_size for path in lies_in(home) if path.is_file() and not path.is_symlink())
    sessions, messages, facts, vectors = (
        number(f"SELECT count(*) FROM {table}") for table in ("sessions", "messages", "facts", "vectors")
    )
    counts = [count(sessions, "session"), count(messages, "message"), count(facts, "fact"), count(vectors, "vector")]
    life = f"profile {app.settings.profile}, " if app.settings.profile else ""
    return [f"{life}{home}: {size / 1e6:,.1f} MB", ", ".join(counts)]


def check_files(app: App, fix: bool) -> list[str]:
    """Whether others may read what is private."""
    home = app.settings.home
    if fix:
        close_to_others(home)
    found = [f"{path} can be read by others." for path in [home, *lies_in(home)] if open_to_others(path)]
    return [*found[:SHOWN], f"... and {len(found) - SHOWN} more."] if len(found) > SHOWN else found


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
    return [f"The store: {line}." for line in [*damage, *in_plain(app)]]


def in_plain(app: App) -> list[str]:
    """What of an encrypted home is not, since its encryption was cut short or something was put there."""
    if not app.memory.store.encrypted:
        return []
    from memory.encryption import left_plain

    found = left_plain(app.settings.home, app.settings.plain_vectors)
    return [f"{path} is in plain; run `assistant encrypt` again" for path in found]


def check_secrets(app: App, fix: bool) -> list[str]:
    """Whether secrets stand in the store in plain: from before they were masked, or while that was switched off."""
    from memory.unmasked import mask, unmasked

    store = app.memory.store
    if not app.settings.mask_secrets:
        return []
    if fix and any(unmasked(store)) and not mask(store):
        return ["Secrets were masked; their bytes go once no other process reads the old pages: run it again."]
    found = list(unmasked(store))
    if not found:
        return []
    seqs = [one.key for one in found if one.table == "messages"]
    ids = dict.fromkeys(one.session_id for one in store.messages(map(int, seqs)).values())
    where = f" Sessions: {', '.join([*ids][:SHOWN])}." if ids else ""
    return [f"Stored in plain: {count(sum(one.secrets for one in found), 'secret')}.{where}"]


def check_index(app: App, output: Output, fix: bool) -> list[str]:
    """Whether the index, and one that still answers in its place, holds what the store says it holds."""
    store = app.memory.store
    if not app.memory.keeps_vectors:
        return []
    if fix:
        mend_index(app)
        with output.progress("making vectors", 1.0) as progress:
            app.memory.sync(progress=lambda done, total: progress.update(done / total, f"{done} of {total}"))
    return [line for index in held(store, app.index, app.index_of) for line in index_damage(store, index)]


def mend_index(app: App) -> None:
    """Begin the index anew, if its model can be had; a sound one that is being built for a new model only goes on."""
    store, index = app.memory.store, app.index
    if replaced(store, index) and not index_damage(store, index):
        return
    index.embed([Unit("probe", "Can vectors be made?")])
    rebuild(store, index)


def index_damage(store: Store, index: Index) -> list[str]:
    """What is wrong with one index, in a line."""
    listed = store.count_indexed(index.collection)
    if not listed:
        return []
    try:
        there = index.check()
    except IndexUnavailable as error:
        return [error.message]
    return [] if there == listed else [f"The index holds {there} vectors where the store lists {listed}."]


def check_models(app: App, output: Output, fix: bool, large: bool) -> list[str]:
    """Whether the model files are those that the table pins. A bad one is of no use; `fix` drops it."""
    from assistant.weights import installed, verify

    damage = []
    for one in installed(app.settings.weights):
        if (one.bytes > QUICK_BYTES and not large) or verify(one.path) is not False:
            continue
        if fix:
            one.path.unlink()
            output.note(f"{one.path} was damaged and is gone. Fetch it again: assistant models pull {one.name}")
        else:
            damage.append(f"{one.path} is damaged.")
    return damage


def writer(app: App) -> str:
    """The model that would write notes; what it was tried for in vain is not owed. Empty where none can be had."""
    try:
        return app.choice.name
    except Failure:
        return ""


def owed(app: App) -> list[str]:
    """What is to be done yet, in lines; the next chat does it."""
    store = app.memory.store
    sessions = len(store.owed(writer(app)))
    missing = vectors(app)
    lines = []
    if forgets := store.number("SELECT count(*) FROM forgets WHERE state <> 'done'"):
        lines.append(f"Owed: {count(forgets, 'forgetting')} to be finished. Now: assistant forget")
    if sessions:
        lines.append(f"Owed: notes on {count(sessions, 'session')}. Now: assistant sessions summarize --pending")
    return [*lines, missing] if missing else lines


def vectors(app: App) -> str:
    """How many vectors are to be made yet, and which embedding model answers until then; empty if none are."""
    if not app.memory.keeps_vectors:
        return "The memory is encrypted and keeps no vectors: recall answers by words alone (setting plain_vectors)."
    store, index = app.memory.store, app.index
    missing, answering = store.count_unindexed(index.collection), next(held(store, index, app.index_of), index)
    if answering is index:
        return f"Owed: {count(missing, 'vector')}; until then words find them." if missing else ""
    total = missing + store.count_indexed(index.collection)
    return (
        f"Owed: {count(missing, 'vector')} of {total:,} by {index.model}; {answering.model} answers until then. "
        "The next chat makes them; now: assistant doctor --fix"
    )
