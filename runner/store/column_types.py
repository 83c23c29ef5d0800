"""Types of columns that both SQLite and PostgreSQL give the same meaning.

Text is ordered by its bytes, as SQLite does, whatever the language of a server's database; integers
have eight bytes.
"""

from __future__ import annotations

import sqlalchemy as sa

TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
INTEGER = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
