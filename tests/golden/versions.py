"""Refuses to make golden files with other versions than requirements.txt pins."""

from importlib.metadata import version
from pathlib import Path


def check(only=None):
    """The pinned versions; of the packages `only`, if it names some."""
    lines = (Path(__file__).parent / "requirements.txt").read_text().splitlines()
    wanted = dict(line.split("==") for line in lines if "==" in line)
    wanted = {name: pin for name, pin in wanted.items() if only is None or name in only}
    # A local build's suffix, as in 2.15.0+cpu, does not change what is computed here.
    found = {name: version(name).split("+")[0] for name in wanted}
    assert found == wanted, f"found {found}, expected {wanted}: pip install -r tests/golden/requirements.txt"
    return wanted
