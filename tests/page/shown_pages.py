"""What tests of the page are given to open one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

Show = Callable[..., "Page"]
"""Opens the page of a database, or of one file, at a state."""
