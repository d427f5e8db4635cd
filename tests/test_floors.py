"""A module imports only from lower floors and from its own folder."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "jaxcalc"
FLOORS = {
    "_checks": 0,
    "_trees": 0,
    "_programs": 0,
    "_work": 0,
    "functions": 1,
    "losses": 1,
    "sharding": 1,
    "derivatives": 2,
    "curvature": 2,
    "minimization": 3,
    "optimizers": 3,
    "problems": 4,
    "analysis": 4,
    "comparison": 5,
    "reports": 6,
}
MODULES = sorted(p for p in ROOT.rglob("*.py") if p != ROOT / "__init__.py")


def imported(path):
    """Names of the `jaxcalc` folders or files that a module imports from."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports in full"
            names = [node.module or ""]
            if node.module == "jaxcalc":
                names = [f"jaxcalc.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == "jaxcalc":
                assert len(parts) > 1, f"{path} imports the top of the house"
                yield parts[1]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_imports_only_from_lower_floors(path):
    own = path.relative_to(ROOT).parts[0].removesuffix(".py")
    assert own in FLOORS, f"{own} has no floor: give it one here and in the design"
    for other in imported(path):
        assert other == own or FLOORS[other] < FLOORS[own], f"{path} imports {other}"


def test_every_folder_of_the_package_is_found():
    assert {p.relative_to(ROOT).parts[0].removesuffix(".py") for p in MODULES} >= {
        "minimization",
        "optimizers",
        "problems",
        "comparison",
        "reports",
    }
