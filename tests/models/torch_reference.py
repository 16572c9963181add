"""What torch answers, for the test of the export: run in the environment that has ultralytics.

Arguments: a folder, and names like those that `export` takes. The folder holds `input.npy`
(1, 3, height, width). It gets torch's answer to each name as `NAME.npy`; weights (.pt) as they are
saved; and an architecture of one class instead of eighty where its name ends in -person.yaml.
"""

import sys
from pathlib import Path

import numpy as np

from models import export


def main(folder: Path, name: str) -> None:
    """Ask torch."""
    import torch  # here, since the tests of docstrings import this file where there is none
    from ultralytics.utils import ROOT, YAML

    weights, stem = name, Path(name).stem
    if name.endswith(".pt"):
        weights = str(folder / name)
        export.load(f"{stem}.yaml", folder).save(weights)
    elif stem.endswith("-person"):
        weights, whole = str(folder / name), stem.removesuffix("-person")
        # One file is for all sizes in most families, and named after none.
        names = (f"{whole}.yaml", f"{whole.removesuffix('n')}.yaml")
        shipped = [path for each in names for path in (ROOT / "cfg/models").rglob(each)]
        YAML.save(weights, YAML.load(shipped[0]) | {"nc": 1})
    network = export.load(weights, folder)
    with torch.inference_mode():
        answer = network.model(torch.from_numpy(np.load(folder / "input.npy")))
    np.save(folder / f"{name}.npy", answer[0].numpy())


if __name__ == "__main__":
    for each in sys.argv[2:]:
        main(Path(sys.argv[1]), each)
