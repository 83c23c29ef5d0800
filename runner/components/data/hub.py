"""Data sets on the Hugging Face Hub: their Parquet files, fetched atomically.

Only Parquet files and the page that says which file is of which split are fetched. Code of a
repository is neither fetched nor run.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from runner.artifacts.atomic import partial_path, put_folder, remove_partial
from runner.components.data.archives import SPACE, check_space
from runner.components.data.invalid import InvalidData
from runner.components.download import DownloadFailed, Downloading, OnProgress

HUB = "https://huggingface.co/datasets"
PAGE, PARQUET = "README.md", ".parquet"
BLOCK = 1 << 20
CONVERTED = "refs/convert/parquet"
"""The revision that the Hub itself makes of most public sets."""


def require_hub() -> None:
    """Check that what reads data sets of the Hub is installed.

    Raises:
        InvalidData: when it is not.
    """
    if find_spec("datasets") is None:
        raise InvalidData(
            "data sets of the Hugging Face Hub are read with datasets, which is not installed",
            'pip install "runner[hf]"',
            "dataset",
        )


@dataclass(frozen=True, slots=True)
class HubSet:
    """A data set on the Hub.

    Attributes:
        repository: OWNER/SET.
        revision: commit, tag or branch.
    """

    repository: str
    revision: str

    @property
    def name(self) -> str:
        """What it is called in a spec."""
        return f"{self.repository}@{self.revision}"

    @property
    def num_bytes(self) -> int:
        """Return 0: how large it is, only the Hub can say."""
        return 0

    @property
    def folder(self) -> str:
        """Target, relative to the folder of data sets."""
        return f"huggingface/{self.name}"

    @property
    def url(self) -> str:
        """Page of the set at the revision."""
        return f"{HUB}/{self.repository}/tree/{self.revision}"

    def how_to_get(self) -> str:
        """Return the hint for a missing data set."""
        return (
            "`runner run` downloads its Parquet files unless --no-download is given; or fetch those"
            f" of {self.url} by hand and put them into {self.folder} under --data (RUNNER_DATA) or"
            " ./data"
        )

    def fetch(self, root: Path, on_progress: OnProgress) -> None:
        """Fetch the Parquet files to their folder under ``root``.

        Raises:
            DownloadFailed: when they cannot be fetched or stored, or there are none; nothing is
                left behind.
            InvalidData: when the package that does it is not installed.
        """
        require_hub()
        final = root / self.folder
        work: Path | None = None
        done = 0
        try:
            root.mkdir(parents=True, exist_ok=True)
            commit, files = self._files()
            total = sum(file.size or 0 for file in files)
            check_space(round(total * SPACE / 2), root)  # nothing is unpacked
            work = partial_path(root / self.repository.rpartition("/")[2])
            for file in files:
                on_progress(Downloading(self.name, done, total, final))
                self._fetch(commit, file, work)
                done += file.size or 0
            shutil.rmtree(work / ".cache", ignore_errors=True)  # notes of the package
            final.parent.mkdir(parents=True, exist_ok=True)
            put_folder(work, final, replacing=False)
        except OSError as error:
            raise self._failed(f"it cannot be stored: {error}", root) from error
        except _Broken as error:
            raise self._failed(str(error), root) from error.__cause__
        finally:
            if work is not None:
                remove_partial(work)
        on_progress(Downloading(self.name, total, total, final))

    def _failed(self, what: str, root: Path) -> DownloadFailed:
        by_hand = f"fetch the Parquet files by hand and put them into {root / self.folder}"
        return DownloadFailed(self.url, what, f"run the same command again, or {by_hand}")

    def _files(self) -> tuple[str, list[Any]]:
        """Return the commit of the revision, and the files that are fetched.

        Raises:
            _Broken: when the Hub does not say, or there are no Parquet files.
        """
        from huggingface_hub import HfApi

        try:
            info = HfApi().dataset_info(
                self.repository, revision=self.revision, files_metadata=True
            )
        except Exception as error:  # of many kinds, by where the network or the Hub refuses
            raise _Broken(f"the Hub does not give it: {_first_line(error)}") from error
        files = [file for file in info.siblings or [] if _is_wanted(file.rfilename)]
        if not any(file.rfilename.endswith(PARQUET) for file in files):
            like = "" if self.revision == CONVERTED else f"; try {self.repository}@{CONVERTED}"
            raise _Broken(f"it has no Parquet files at this revision{like}")
        return str(info.sha or self.revision), files

    def _fetch(self, commit: str, file: Any, work: Path) -> None:
        """Fetch one file below ``work`` and hold it against its checksum."""
        from huggingface_hub import hf_hub_download
        from huggingface_hub.utils.tqdm import (
            are_progress_bars_disabled,
            disable_progress_bars,
            enable_progress_bars,
        )

        was_loud = not are_progress_bars_disabled()
        disable_progress_bars()
        try:
            path = hf_hub_download(
                self.repository,
                file.rfilename,
                repo_type="dataset",
                revision=commit,
                local_dir=work,
            )
        except Exception as error:  # as above
            raise _Broken(f"{file.rfilename}: {_first_line(error)}") from error
        finally:
            if was_loud:
                enable_progress_bars()
        if file.lfs is not None and _sha256(Path(path)) != file.lfs.sha256:
            raise _Broken(f"{file.rfilename} came with another checksum than the Hub says")


class _Broken(Exception):
    """The Hub or the network failed; the message says how."""


def _is_wanted(name: str) -> bool:
    return name == PAGE or name.endswith(PARQUET)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()
