"""What is known of timm's names without timm: how they begin, and whether timm is there."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from runner.core.errors import UsageError

PREFIX = "timm/"
"""How the names of these networks begin."""


class UnknownNetwork(UsageError):
    """A network that timm cannot build here: it has none of that name, or is not installed."""


def timm_version() -> str:
    """Return the installed version of timm, "" where there is none."""
    try:
        return version("timm")
    except PackageNotFoundError:
        return ""


def require_timm() -> None:
    """Check that timm is installed.

    Raises:
        UnknownNetwork: when it is not.
    """
    if not timm_version():
        raise UnknownNetwork(
            "networks of timm are built by timm, which is not installed",
            hint='pip install "runner[timm]"',
        )
