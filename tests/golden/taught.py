"""Makes tests/golden/taught.json: what scikit-learn makes of a few examples, for the heads of runtime/heads.

Run from the repository's root with the versions of requirements.txt:  python tests/golden/taught.py
"""

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import LeaveOneGroupOut
from sklearn.neighbors import NearestCentroid, NearestNeighbors
from sklearn.preprocessing import StandardScaler, normalize

OUT = Path(__file__).parent / "taught.json"
CLASSES, SHOWINGS, FRAMES, WIDTH = 3, 3, 2, 5


def nearest_mean(x, y, queries):
    """SimpleShot with deviations: centred on the mean of the classes' means, scaled, brought to length one."""
    scale = StandardScaler().fit(x).scale_
    centre = np.mean([x[y == c].mean(0) for c in range(CLASSES)], axis=0)
    rows = normalize((x - centre) / scale)
    centroids = normalize(NearestCentroid().fit(rows, y).centroids_)
    return normalize((queries - centre) / scale) @ centroids.T


def main():
    rng = np.random.default_rng(7)
    means = rng.normal(0, 1, (CLASSES, WIDTH))
    y = np.repeat(np.arange(CLASSES), SHOWINGS * FRAMES)
    showing = np.repeat(np.arange(CLASSES * SHOWINGS), FRAMES)
    shared = rng.normal(0, 0.6, (CLASSES * SHOWINGS, WIDTH))
    x = means[y] + shared[showing] + rng.normal(0, 0.3, (len(y), WIDTH))
    x *= np.array([1, 10, 0.1, 3, 1])
    x = x.astype(np.float32)
    queries = (x[::4] + rng.normal(0, 0.3, x[::4].shape)).astype(np.float32)
    scaler = StandardScaler().fit(x.astype(float))
    regression = LogisticRegression(C=1.0, tol=1e-8, max_iter=10_000).fit(scaler.transform(x.astype(float)), y)
    right = []
    for kept, left in LeaveOneGroupOut().split(x, y, showing):
        told = nearest_mean(x[kept].astype(float), y[kept], x[left].astype(float)).argmax(1)
        right.append(float((told == y[left]).mean()))
    neighbours = NearestNeighbors(n_neighbors=1).fit(x.astype(float) / scaler.scale_)
    distance, _ = neighbours.kneighbors(queries.astype(float) / scaler.scale_)
    golden = {
        "scikit-learn": version("scikit-learn"),
        "width": WIDTH,
        "features": x.ravel().tolist(),
        "labels": y.tolist(),
        "showings": showing.tolist(),
        "queries": queries.ravel().tolist(),
        "similarities": nearest_mean(x.astype(float), y, queries.astype(float)).ravel().tolist(),
        "probabilities": regression.predict_proba(scaler.transform(queries.astype(float))).ravel().tolist(),
        "accuracy_without_the_showing": float(np.mean(right)),
        "distances": (distance.ravel() / np.sqrt(WIDTH)).tolist(),
    }
    OUT.write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
