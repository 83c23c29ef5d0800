"""What a shared store holds of an artifact: its files with sizes and digests, in one small file.

Owns the form of that file, which has a checksum of its own and is written last: what it does not
name is not there. What is read of it is looked at before it is believed, since others write there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runner.core.keys import content_key

FORMAT = 1
"""Raised when the form changes; manifests of another one count as damaged."""
SUFFIX = ".json"
MOST_FILES = 10_000
FILE = re.compile(r"[^./\\\x00-\x1f][^/\\\x00-\x1f]{0,199}")
"""Names of files: parts of no path, and not hidden."""
DIGEST = re.compile(r"[0-9a-f]{64}")
SHOWN_DIGITS = 16


class DamagedManifest(ValueError):
    """What was read is not what was written."""


@dataclass(frozen=True, slots=True)
class SharedFile:
    """A file of an artifact.

    Attributes:
        num_bytes: its size.
        sha256: of its content, in hexadecimal.
    """

    num_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a shared store holds of an artifact.

    Attributes:
        name: where it lies, as ``states/<database>/<segment>-<epoch>``.
        files: by the names that they have in `.runner/`.
        texts: content of those that say what the artifact is, where that is wanted beforehand.
    """

    name: str
    files: Mapping[str, SharedFile]
    texts: Mapping[str, str] = field(default_factory=dict)

    @property
    def num_bytes(self) -> int:
        """The size of all files."""
        return sum(each.num_bytes for each in self.files.values())

    def place_of(self, file: str) -> str:
        """Return where a file lies: under another name when it is another content."""
        return f"{self.name}/{self.files[file].sha256[:SHOWN_DIGITS]}-{file}"

    def places(self) -> set[str]:
        """Return where all files lie."""
        return set(map(self.place_of, self.files))

    def to_bytes(self) -> bytes:
        """Return the content of its own file."""
        content: dict[str, Any] = {
            "format": FORMAT,
            "name": self.name,
            "files": {
                name: {"bytes": each.num_bytes, "sha256": each.sha256}
                for name, each in self.files.items()
            },
            "texts": dict(self.texts),
        }
        content["checksum"] = content_key("manifest", content)
        return json.dumps(content).encode()


def manifest_place(name: str) -> str:
    """Return where the manifest of an artifact lies."""
    return f"{name}{SUFFIX}"


def read_manifest(name: str, content: bytes) -> Manifest:
    """Return what the manifest of an artifact says.

    Raises:
        DamagedManifest: when it is not one of this artifact, whole and of this form.
    """
    try:
        told = json.loads(content)
        checksum = told.pop("checksum")
        if checksum != content_key("manifest", told) or told["format"] != FORMAT:
            raise DamagedManifest("its checksum does not match")
        files = {str(each): _file(each, about) for each, about in told["files"].items()}
        texts = {str(each): str(text) for each, text in told["texts"].items()}
        is_of_it = told["name"] == name and set(texts) <= set(files)
    except DamagedManifest:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise DamagedManifest("it is no manifest") from None
    if not is_of_it or not 0 < len(files) <= MOST_FILES:
        raise DamagedManifest("it is the manifest of something else")
    return Manifest(name, files, texts)


def _file(name: str, about: Any) -> SharedFile:
    """Return a file; its name leads nowhere but into the artifact's folder."""
    size, digest = about["bytes"], about["sha256"]
    is_right = FILE.fullmatch(name) and type(size) is int and size >= 0 and DIGEST.fullmatch(digest)
    if not is_right:
        raise DamagedManifest("it names a file that no artifact has")
    return SharedFile(size, digest)
