"""Words, numbers and text that hardly anybody would write in a spec, for `fuzz_specs.py`."""

from __future__ import annotations

from random import Random

from runner.components.data import Data
from runner.components.measures import METRIC_NAMES
from runner.components.models import Model
from runner.components.optimizers import Optimizer
from runner.components.schedules import Schedule
from runner.spec.compose import DOCUMENT_KEYS
from runner.spec.names import SHORT_NAMES
from runner.spec.options import model_options, tags_of

ROOTS = (Data, Model, Optimizer, Schedule)
TAGS = [tag for root in ROOTS for option in model_options(root) for tag in tags_of(option)]
WORDS = [
    *sorted({*DOCUMENT_KEYS, *SHORT_NAMES, *SHORT_NAMES.values(), *METRIC_NAMES, *TAGS}),
    *("grid", "zip", "rows", "label", "labels", "published", "where", "values", "columns"),
    *("pivot", "titles", "order", "metric", "at", "mark", "digits", "setting", "file", "keep"),
    *("one_of", "choices", "steps", "RandomCrop", "Resize", "GaussianBlur", "ColorJitter", "head"),
    *("cut", "freeze", "sha256", "missing", "include", "per_class", "cells", "none", "last", "min"),
]

NUMBERS = [
    *("0", "-0.0", "1", "-1", "2", "0.5", "1.0", "1e3", "1e-320", "1e308", "1e309", "-1e308"),
    *("9223372036854775807", "9223372036854775808", "999999999999999999", "1000000000000000000"),
    *("100000", "1000000", "100000000", "10000000000", "1000000000000000", "0x7fffffffffffffff"),
    *("0o777777777777777777", ".inf", "-.inf", ".nan", "1_000", "0.1e", "0b1", "1.", ".5", "1e999"),
    *("2147483647", "2147483648", "4294967296", "65536", "16384", "-999999999999999999"),
]
SCALARS = [
    *('""', "''", "null", "~", "true", "no", "12:30", "2026-01-01", "=", "<<", "@a", "`a`"),
    *(r'"\ud800"', r'"\udfff"', r'"\U00110000"', r'"\UFFFFFFFF"', r'"\0"', r'"a\0b"', r'"\x1b[2J"'),
    *(r'"\n\t\r"', r'"\u2028"', r'"\xZZ"', r'"\u12"', r'"\q"', r'"\ud83d\ude00"', '"\u202e"'),
    *("~nobody/x.yaml", "~/x.yaml", "/dev/null", "/", ".", "..", "../..", "/proc/self/mem"),
    *("ünïcödé", "名前", "😀", "\ufeffx", "\x85", "\u2028", "\u00a0", "İ", "ǅ", "ﬁ"),
    *("!!int x", "!!float 1", "!!str 5", "!!null x", "!!bool 7", "!!binary aGk=", "!!set {a, b}"),
    *(
        "!!python/object/apply:os.system [id]",
        "!custom {}",
        "!!timestamp 1",
        "!!map []",
        "!!seq {}",
    ),
    *("!!omap [a: 1]", "!<tag:yaml.org,2002:int> 5", "! 5", "&a 1", "*a", "&a *a", "*nothing"),
    *(
        "{}",
        "[]",
        "[[]]",
        "{{}}",
        "{[]: 1}",
        "? a",
        "- - -",
        "|",
        ">",
        "|9\n a",
        ">-\n\n\n",
        "'",
        '"',
    ),
    *(
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "?",
        "-",
        "---",
        "...",
        "%YAML 1.2",
        "#",
        "\t",
        "-ACC",
        "a - b",
    ),
    *(
        "train_loss - val_loss",
        "1/0*val_loss",
        "((val_loss))",
        "-val_loss",
        "val_loss**2",
        "{a: b: c}",
    ),
]
DEPTHS = (3, 10, 50, 200, 900, 3000)


def strange_text(random: Random) -> str:
    """Return text that hardly anybody would write in a spec, or a word of the language."""
    what = random.random()
    if what < 0.3:
        return random.choice(WORDS)
    if what < 0.55:
        return random.choice(NUMBERS)
    if what < 0.9:
        return random.choice(SCALARS)
    if what < 0.93:
        return "x" * random.choice((300, 5000))
    if what < 0.95:
        return str(random.getrandbits(random.choice((8, 31, 53, 64, 4000))))
    if what < 0.97:
        return "".join(chr(random.randrange(0x20, 0x3000)) for _ in range(random.choice((1, 5))))
    opening, closing = random.choice((("[", "]"), ("{a: ", "}"), ("- ", ""), ("{name: ", "}")))
    depth = random.choice(DEPTHS)
    return opening * depth + closing * random.choice((depth, depth, 0))
