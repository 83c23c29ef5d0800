"""No modules of the program import each other in a circle, within functions either."""

from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp

import runner


def modules_on_a_cycle(package: str) -> list[str]:
    """Return the modules of one cycle of imports, [] without; those for type checkers are none."""
    graph = grimp.build_graph(package, exclude_type_checking_imports=True, cache_dir=None)
    imports = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_modules_import_each_other_in_no_cycle() -> None:
    assert modules_on_a_cycle(runner.__name__) == []


def test_cycle_within_functions_is_found(tmp_path: Path, monkeypatch) -> None:
    package = tmp_path / "circular"
    package.mkdir()
    for name, text in sources():
        (package / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    assert sorted(set(modules_on_a_cycle("circular"))) == ["circular.a", "circular.b"]


def sources() -> Iterator[tuple[str, str]]:
    yield "__init__.py", ""
    yield "a.py", "import circular.b\n"
    yield "b.py", "def late() -> None:\n    import circular.a\n"
    yield "c.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import circular.d\n"
    yield "d.py", "import circular.c\n"
