"""How a database is reached: what files and servers have in common, and each does in its own way.

Knows connections and transactions, no table.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa

from runner.core.errors import UsageError
from runner.store.failures import in_words

if TYPE_CHECKING:
    from runner.store.addresses import Address

OWN_DATABASE = "name a database of your own with --db"
Result = TypeVar("Result")


class Beside(Enum):
    """Who else may write into a server's database while a transaction writes; a file has one."""

    NOBODY = "nobody"
    OTHERS = "others, as far as the rows that this one has locked let them"
    ALL = "even one beside which nobody else may: for what changes nothing but a row of its own"


class CommitReader(ABC):
    """Tells cheaply how far the commits of a database are; for one thread at a time."""

    @abstractmethod
    def now(self) -> Any:
        """Return what is another one after each commit."""

    @abstractmethod
    def close(self) -> None:
        """Close its connection."""


class Backend(ABC):
    """A database, as it is reached.

    Attributes:
        engine: SQLAlchemy's engine.
        address: where it is.
        read_only: whether writing is an error.
    """

    def __init__(self, engine: sa.Engine, address: Address, read_only: bool = False) -> None:
        self.engine = engine
        self.address = address
        self.read_only = read_only

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Yield a connection in a reading transaction, which sees one state of the database."""
        with in_words(self.address), self.engine.connect() as connection:
            yield connection

    def write(self, beside: Beside = Beside.NOBODY) -> AbstractContextManager[sa.Connection]:
        """Yield a connection in a writing transaction.

        Args:
            beside: who else may write meanwhile.

        Raises:
            UsageError: when the database is open for reading only.
        """
        self.check_writable()
        return self._write(beside)

    def check_writable(self) -> None:
        """Refuse to write what is open for reading only.

        Raises:
            UsageError: when it is.
        """
        if self.read_only:
            raise UsageError(f"{self.address} is read-only", hint=OWN_DATABASE)

    @abstractmethod
    def _write(self, beside: Beside) -> AbstractContextManager[sa.Connection]:
        """Do so."""

    def transact(
        self,
        body: Callable[[sa.Connection], Result],
        beside: Beside = Beside.NOBODY,
        is_idempotent: bool = False,
    ) -> Result:
        """Return what a function returns that writes; exactly once, or not at all.

        It may be called again where nothing of it was stored, and, where it is idempotent, where
        nobody knows whether it was.
        """
        with self.write(beside) as connection:
            return body(connection)

    def check(self) -> None:
        """Check that it is still what was opened.

        Raises:
            StoreGone: when it is not.
        """
        return

    @abstractmethod
    def num_bytes(self) -> int:
        """Return what it takes."""

    @abstractmethod
    def commit_reader(self) -> CommitReader:
        """Return a new reader of its commits; to be closed."""

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()
