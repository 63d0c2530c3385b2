"""Whose key a command signs with. A key is never printed, logged or put into a message."""

from __future__ import annotations

from pathlib import Path

import typer

from lockstep.cli.errors import CommandError
from lockstep.cli.options import Account, Role

LOCAL_CHAIN = 31337
"""Anvil's chain id: nothing there is worth anything."""
MAX_KEY_FILE = 4096

# The first accounts of anvil's well-known mnemonic ("test test ... junk"), published with Foundry.
_WELL_KNOWN = {
    Role.DEPLOYER: "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    Role.SUBMITTER: "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    Role.SOLVER: "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
    Role.VERIFIER: "0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
    Role.WHISTLEBLOWER: "0x47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a",
    Role.REVEALER: "0x8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba",
}


def well_known_key(role: Role) -> str:
    """The key of a role on a local chain; publicly known, worthless on any other."""
    return _WELL_KNOWN[role]


def choose_key(account: Account, role: Role | None, chain_id: int) -> str:
    """The key to sign with: the one given, or on a local chain the well-known one of the role.

    Raises:
        CommandError: there is none
        typer.BadParameter: options that exclude each other

    """
    if account.acting is not None and (account.key or account.key_file):
        raise typer.BadParameter("--as names a well-known key; it does not go with --key (LOCKSTEP_KEY) or --key-file.")
    if account.key and account.key_file:
        raise typer.BadParameter("Pass one of --key (LOCKSTEP_KEY) and --key-file.")
    if account.key:
        return account.key
    if account.key_file:
        return _read(account.key_file)
    if chain_id != LOCAL_CHAIN:
        raise CommandError(
            f"This is chain {chain_id}, where no account is free for all. Pass a key: LOCKSTEP_KEY, --key-file or "
            "--key."
        )
    chosen = account.acting or role
    if chosen is None:
        raise CommandError(
            f"Whose account? Pass --as {'|'.join(Role)}, or a key with LOCKSTEP_KEY, --key-file or --key."
        )
    return well_known_key(chosen)


def _read(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_KEY_FILE)
    except OSError as error:
        raise CommandError(f"The key file {file} cannot be read: {error.strerror}.") from None
    try:
        return data.decode("ascii").strip()
    except UnicodeDecodeError:
        raise CommandError(
            f"The key file {file} does not hold a private key: 64 hex digits, with or without 0x."
        ) from None
