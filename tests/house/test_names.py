"""Our top-level names belong to us: no other distribution and no standard module has them."""

import sys
from importlib.metadata import packages_distributions

import pytest

from tests.support.sources import ROOMS, ROOT, read


@pytest.mark.parametrize("room", ROOMS)
def test_name_is_ours(room):
    """A package of the same name would be imported instead of ours, or ours instead of it."""
    others = {name.lower() for name in packages_distributions().get(room, ())} - {"lighterage"}

    assert others == set()
    assert room not in sys.stdlib_module_names


def test_wheel_holds_every_room():
    """A room that is left out is missed only where the product is installed."""
    packages = next(
        line for line in read("pyproject.toml").splitlines() if line.startswith("packages = ") and "[" in line
    )
    found = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}

    assert set(ROOMS) == found
    assert all(f'"{room}"' in packages for room in ROOMS)
