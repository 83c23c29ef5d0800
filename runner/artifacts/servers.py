"""Which databases of servers have things in `.runner/`: unlike files, they do not lie beside it.

Their states, weights and logits stay when `.runner/` is cleared for another database.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

SERVERS = "servers"


def remember_server(folder: Path, identity: str, name: str) -> None:
    """Remember that a server's database keeps things in ``.runner/``.

    Args:
        folder: ``.runner/``, which is made where it is not there.
        identity: of the database.
        name: for people, without a password.
    """
    home = folder / SERVERS
    if not (home / identity).is_file():
        home.mkdir(parents=True, exist_ok=True)
        (home / identity).write_text(f"{name}\n", encoding="utf-8")


def remembered_servers(folder: Path) -> set[str]:
    """Return the identities of the servers' databases that keep things in ``.runner/``."""
    with suppress(OSError):
        return {path.name for path in (folder / SERVERS).iterdir()}
    return set()
