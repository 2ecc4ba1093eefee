"""The keys of encrypted files, from a passphrase or the platform's keyring; the only door to keyring."""

import getpass
import hashlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from memory.errors import StoreError

VARIABLE = "ASSISTANT_PASSPHRASE"
SERVICE = "assistant"  # what the keyring files our keys under; the account is the file's salt
REMEDY = f"Type its passphrase at a terminal, set {VARIABLE}, or unlock the keyring that holds the key."
# What SQLCipher 4 does with a passphrase, so that its own tools open the file with it, too.
DIGEST, ROUNDS, KEY_BYTES = "sha512", 256_000, 32


@dataclass(frozen=True, slots=True)
class Key:
    """The 32 bytes that encrypt a file, and the file's 16 bytes of salt. Never shown, not even in a traceback."""

    secret: bytes
    salt: bytes

    def __repr__(self) -> str:
        return f"Key({self.salt.hex()})"

    @property
    def literal(self) -> str:
        """As SQLCipher takes a key that needs no derivation."""
        return f"x'{self.secret.hex()}{self.salt.hex()}'"


_known: dict[bytes, Key] = {}  # by salt: a passphrase is asked for once, whatever the number of threads


def remember(key: Key) -> None:
    """Keep a key that opened its file, while the process lives."""
    _known[key.salt] = key


def known(salt: bytes) -> Key:
    """The key that opened the file of this salt in this process."""
    return _known[salt]


def derived(passphrase: str, salt: bytes) -> Key:
    """The key of a passphrase (0.15 s, meant to be slow for who guesses)."""
    return Key(hashlib.pbkdf2_hmac(DIGEST, passphrase.encode(errors="surrogateescape"), salt, ROUNDS, KEY_BYTES), salt)


def candidates(salt: bytes) -> Iterator[Key]:
    """The keys that may open the file of this salt: the one known, the environment's, the keyring's, one asked for."""
    if salt in _known:
        yield _known[salt]
        return
    if given := os.environ.get(VARIABLE):
        yield derived(given, salt)
    if stored := from_keyring(salt):
        yield stored
        return
    if not given and sys.stdin.isatty() and sys.stderr.isatty():
        yield derived(getpass.getpass("Passphrase of your memory: "), salt)


def from_keyring(salt: bytes) -> Key | None:
    """The key that the platform's keyring holds for a file; None where it holds none, or there is no keyring."""
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        return None
    try:
        found = keyring.get_password(SERVICE, salt.hex())
    except (KeyringError, RuntimeError, OSError):  # locked, or a backend that cannot be reached
        return None
    try:
        return Key(bytes.fromhex(found), salt) if found else None
    except ValueError:
        return None


def to_keyring(key: Key) -> None:
    """Put a key into the platform's keyring, and read it back. Raises StoreError where that cannot be done."""
    remedy = "Use --passphrase instead."
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError as error:
        raise StoreError("The package keyring is missing.", "pip install 'assistant[encrypted]'.") from error
    try:
        keyring.set_password(SERVICE, key.salt.hex(), key.secret.hex())
    except (KeyringError, RuntimeError, OSError) as error:
        raise StoreError("No keyring of this platform can be used.", remedy) from error
    if from_keyring(key.salt) != key:
        _delete(key.salt)
        raise StoreError("The keyring did not keep the key.", remedy)


def out_of_keyring(salt: bytes) -> None:
    """Delete a key whose file is no more from the keyring, if it is there."""
    if from_keyring(salt) is not None:
        _delete(salt)


def _delete(salt: bytes) -> None:
    import keyring
    from keyring.errors import KeyringError

    try:
        keyring.delete_password(SERVICE, salt.hex())
    except (KeyringError, RuntimeError, OSError):
        return  # a key without a file opens nothing
