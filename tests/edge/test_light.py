from importlib.metadata import PackageNotFoundError, requires

from packaging.requirements import Requirement

HEAVY = {"torch", "numba", "scipy", "pandas", "ultralytics", "llvmlite", "pyarrow", "duckdb"}


def needs(name: str, extra: str) -> set[str]:
    """The names of what a distribution requires with an extra."""
    found = set()
    for line in requires(name) or []:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            found.add(requirement.name.lower())
    return found


def test_a_device_installs_nothing_heavy() -> None:
    waiting, known = needs("passerby", "edge"), set[str]()
    assert "onnxruntime" in waiting
    while waiting:
        name = waiting.pop()
        known.add(name)
        try:
            waiting |= needs(name, "") - known
        except PackageNotFoundError:
            # What another platform needs is not installed here.
            continue
    assert known & HEAVY == set()
