"""`assistant backup`: copies of the memory, and back."""

from pathlib import Path

import click

from assistant.cli.options import count, file_path, open_to_write, yes_option
from assistant.cli.terminal import confirm
from memory import answering, backup
from memory.errors import NothingFound
from memory.sync import rebuild

EXIT_REFUSED = 4


@click.command()
@click.argument("path", required=False, type=file_path())
@click.option("--list", "listing", is_flag=True, help="List the backups in the home, the newest first.")
@click.option("--restore", metavar="NAME", help="Put a backup in the memory's place: a name of --list, or a file.")
@click.option("--dry-run", is_flag=True, help="With --restore: only say what would be done.")
@yes_option
def command(path: Path | None, listing: bool, restore: str | None, dry_run: bool, yes: bool) -> int:
    """Copy the memory to PATH, or into the home, where the newest seven are kept. Vectors are made anew from it."""
    if bool(path) + listing + (restore is not None) > 1:
        raise click.UsageError("Give a PATH, --list or --restore.")
    app, output = open_to_write()
    memory = app.memory
    if listing:
        found = backup.listed(memory.home)
        if not found:
            raise NothingFound("There are no backups yet.", "Make one with `assistant backup`.")
        output.table(["name", "MB"], [(one.name, f"{one.stat().st_size / 1e6:,.1f}") for one in found])
        return 0
    if restore is None:
        now = memory.now()
        made = backup.carry(memory.store, memory.home, path, now) if path else backup.make(
            memory.store, memory.home, now)  # fmt: skip
        click.echo(str(made))
        return 0
    chosen = backup.named(memory.home, restore)
    held = count(memory.store.number("SELECT count(*) FROM messages"), "message")
    if dry_run:
        click.echo(f"Would put {chosen} in the place of the memory with {held}, and keep a backup of that.")
        return 0
    if not yes and not confirm(f"Put {chosen.name} in the place of the memory with {held}?"):
        output.note("Nothing was changed.")
        return EXIT_REFUSED
    kept = backup.restore(memory, chosen, memory.now())
    for index in answering.on_disk(memory.store, lambda: app.index, app.index_of):
        rebuild(memory.store, index)
    vectors = "; the next chat makes the vectors" if memory.keeps_vectors else ""
    output.note(f"Restored. What was there is kept as {kept.name}{vectors}.")
    return 0
