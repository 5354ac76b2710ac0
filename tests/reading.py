"""Reading a whole table into lists, for the tests of losskit.tables."""

import numpy as np

from losskit.tables import open_table


def read(path, *names, **options):
    """All rows of the named columns: a list of floats where None is missing."""
    with open_table(path, **options) as table:
        table.require(names)
        found = {name: [] for name in names}
        row = 1
        for batch in table.batches(names):
            assert batch.first_row == row
            row += batch.length
            for name in names:
                missing = batch.missing.get(name, np.zeros(batch.length, bool))
                pairs = zip(batch.columns[name].tolist(), missing, strict=True)
                found[name] += [None if gone else value for value, gone in pairs]
    return found if len(names) > 1 else found[names[0]]


def same(a, b):
    return len(a) == len(b) and all(
        x is y or x == y or (x is not None and y is not None and x != x and y != y)
        for x, y in zip(a, b, strict=True)
    )


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path
