"""Krippendorff's alpha of random and of hand-made units by the package `krippendorff` 0.9.0: `expected.json`.

    pip install krippendorff==0.9.0 numpy
    python tests/golden/krippendorff/make.py
"""

import json
import pathlib
import random

import krippendorff
import numpy as np

SCALES = ["nominal", "ordinal", "interval"]


def case(units):
    """Units as lists of values, of as many labelers as they have values, and alpha on every scale."""
    widest = max(len(unit) for unit in units)
    data = np.array([unit + [np.nan] * (widest - len(unit)) for unit in units], dtype=float).T
    alphas = {}
    for scale in SCALES:
        try:
            alphas[scale] = float(krippendorff.alpha(reliability_data=data, level_of_measurement=scale))
        except ValueError:
            alphas[scale] = None
    return {"units": units, "alpha": alphas}


def main():
    draw = random.Random(7)
    cases = [
        # The example of Krippendorff's "Computing Krippendorff's Alpha-Reliability" (2011): four observers, twelve units.
        case([[1, 1, 1], [2, 2, 3, 2], [3, 3, 3, 3], [3, 3, 3, 3], [2, 2, 2, 2], [1, 2, 3, 4], [4, 4, 4, 4], [1, 1, 2, 1],
              [2, 2, 2, 2], [5, 5, 5], [1, 1], [3]]),
        case([[0, 1], [0, 0], [1, 1], [0, 1]]),
        case([[1, 7], [2, 6], [7, 7, 7], [4]]),
    ]
    for _ in range(40):
        kinds = draw.choice([2, 3, 7])
        noise = draw.random()
        units = []
        for _ in range(draw.randint(3, 40)):
            truth = draw.randrange(kinds)
            units.append([truth if draw.random() > noise else draw.randrange(kinds) for _ in range(draw.randint(1, 6))])
        # Alpha of values that are all the same is nothing.
        if len({value for unit in units if len(unit) > 1 for value in unit}) > 1:
            cases.append(case(units))
    path = pathlib.Path(__file__).resolve().parent / "expected.json"
    path.write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")


if __name__ == "__main__":
    main()
