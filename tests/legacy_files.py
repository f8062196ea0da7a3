"""Write files as version 0.2 did: frames in a pandas.HDFStore, and a pickled configuration."""

import pickle

import h5py
import numpy as np
import pandas as pd


class Bomb:
    """An object whose unpickling creates a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


def column(array):
    return pd.DataFrame(np.asarray(array).reshape(-1, 1))


def row(array):
    return pd.DataFrame(np.asarray(array).reshape(1, -1))


def put(path, frames, **options):
    """Write frames by their keys into a new store."""
    with pd.HDFStore(path, "w", **options) as store:
        for key, frame in frames.items():
            store.put(key, frame, track_times=False)
    return path


def model_frames(layers, weights, as_frame=column):
    """Return the frames of a model by their keys; `layers` lists the parameters of each layer."""
    frames = {
        f"layers/layers_{i}/parameters/params{j}": as_frame(array)
        for i, params in enumerate(layers)
        for j, array in enumerate(params)
    }
    for i, matrix in enumerate(weights):
        frames[f"connections/weights_{i}/parameters/key0"] = pd.DataFrame(matrix)
    return frames


def plant_bomb(path, target):
    """Store objects in every attribute that 0.2 or PyTables would unpickle; return the file's path.

    Unpickling any of them creates the file `target`.
    """
    with h5py.File(path, "a") as file:
        raw = np.bytes_(pickle.dumps(Bomb(target), 0))
        groups = [file]
        file.visititems(lambda _, node: groups.append(node))
        for node in groups:
            for name in ("config", "TITLE", "name"):
                node.attrs[name] = raw
    return path
