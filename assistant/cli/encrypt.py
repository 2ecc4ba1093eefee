"""`assistant encrypt` and `assistant decrypt`: the memory written anew, encrypted or in plain."""

import os
import sys

import click

from assistant import settings as settings_file
from assistant.cli.options import open_to_write, yes_option
from assistant.cli.terminal import Output, confirm
from memory.errors import BadInput, Failure

NEW_VARIABLE = "ASSISTANT_NEW_PASSPHRASE"


@click.command()
@click.option(
    "--passphrase/--keyring",
    default=False,
    help="Take the key from a passphrase, or make one and keep it in the platform's keyring (the default).",
)
def command(passphrase: bool) -> None:
    """Encrypt the memory; when it is encrypted already, change its key.

    A key that the keyring held before is deleted from it: encrypted backups elsewhere stay closed.

    Where nobody can be asked the new passphrase is read from ASSISTANT_NEW_PASSPHRASE.
    """
    from memory import cipher, encryption

    settings, output = settings_file.load()[0], Output()
    if not cipher.available():
        raise Failure("The package sqlcipher3 is missing.", cipher.MISSING)
    settle()
    key = encryption.new_key(new_passphrase() if passphrase else None)
    try:
        encryption.rewrite_home(settings.home, key, settings.plain_vectors)
    except BaseException:
        encryption.let_go(key, settings.home)
        raise
    click.echo("Your memory is encrypted. Without its key nobody can read it, not even you: keep the key safe.")
    if settings.plain_vectors:
        output.note("Vectors stay in plain, as the setting plain_vectors says; texts can be guessed from them in part.")
    else:
        output.note("Its vectors are gone, since they cannot be encrypted: recall answers by words alone.")
    output.note("The old bytes were written over. A flash disk, snapshots and copies elsewhere may still hold them.")


@click.command()
@yes_option
def decrypt(yes: bool) -> int:
    """Write the memory in plain again. The next chat makes its vectors."""
    from memory import encryption

    if not yes and not confirm("Write your memory in plain, so that whoever has the disk can read it?"):
        return 4
    settle()
    encryption.rewrite_home(settings_file.load()[0].home, None, keep_vectors=True)
    click.echo("Your memory is in plain.")
    return 0


def settle() -> None:
    """Go on with a forgetting that is owed, and let go of the store."""
    open_to_write()[0].close()


def new_passphrase() -> str:
    """A passphrase that its owner types twice, or the environment's. Raises BadInput for none."""
    given = os.environ.get(NEW_VARIABLE, "")
    if not given and sys.stdin.isatty():
        given = click.prompt("New passphrase", hide_input=True, confirmation_prompt=True, err=True)
    if not given:
        raise BadInput("There is no new passphrase.", f"Type it at a terminal, or set {NEW_VARIABLE}.")
    return given
