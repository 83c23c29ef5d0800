"""Writes the generated documents: docs/cli.md, reference.md, database.md, datasette.yaml,
results.md and performance.md.

    python tools/docs.py            writes them
    python tools/docs.py --check    exits with 1 when one is out of date

Everything in them is read from the code, the specs, the reference results and what the benches
have measured; `documented_*.py` beside this file hold the words.
"""

from __future__ import annotations

import difflib
import sys
from pathlib import Path

from documented_cli import cli_document
from documented_database import database_document
from documented_datasette import datasette_document
from documented_performance import performance_document
from documented_reference import reference_document
from documented_results import results_document

FOLDER = Path(__file__).resolve().parent.parent / "docs"
DOCUMENTS = {
    "cli.md": cli_document,
    "reference.md": reference_document,
    "database.md": database_document,
    "datasette.yaml": datasette_document,
    "results.md": results_document,
    "performance.md": performance_document,
}


def main(arguments: list[str]) -> int:
    """Write or check the documents and return the exit code."""
    stale = 0
    for name, make in DOCUMENTS.items():
        path, text = FOLDER / name, make()
        before = path.read_text(encoding="utf-8") if path.is_file() else ""
        if before == text:
            continue
        if "--check" not in arguments:
            path.write_text(text, encoding="utf-8")
            print(f"docs/{name} written")
            continue
        stale += 1
        print(f"docs/{name} is out of date; write it with: python tools/docs.py", file=sys.stderr)
        lines = difflib.unified_diff(
            before.splitlines(), text.splitlines(), "as it is", "as it should be", lineterm="", n=1
        )
        print("\n".join(list(lines)[:20]), file=sys.stderr)
    return int(stale > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
