"""Some of many things, evenly spaced: one rule, so that all who show some show the same."""


def evenly_spaced(total: int, count: int) -> list[int]:
    """Return the places of ``count`` of ``total`` things, or of all where there are fewer."""
    count = min(count, total)
    return [number * total // count for number in range(count)]
