"""Who may import whom: the architecture, kept by reading every import."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src" / "genbench"

# package -> the genbench packages it may import, beside itself
ALLOWED: dict[str, set[str]] = {
    "core": set(),
    "networks": {"core"},
    "conditioning": {"core"},
    "diffusion": {"core"},
    "shapes": {"core"},
    "data": {"core", "processes", "shapes"},
    "features": {"core"},
    "metrics": {"core", "features", "shapes"},
    "families": {"core", "networks", "conditioning", "diffusion"},
    "training": {"core", "processes"},
    "identity": set(),
    "processes": set(),  # not in core, which loads torch: Hydra loads the launchers for every command
    "run": {"core", "identity"},
    "evaluation": {"core", "features", "metrics"},
    "benchmark": {"core", "features", "metrics", "evaluation"},
    "sweep": {"core"},
    "cluster": {"core", "app", "processes"},  # a job is a command line
    "app": {
        *("core", "networks", "conditioning", "diffusion", "shapes", "data", "features", "metrics", "families"),
        *("training", "identity", "processes", "run", "evaluation", "benchmark", "sweep"),
    },
    "__main__": {"app"},
    "__init__": set(),
}


def imports(path: Path) -> set[str]:
    """The genbench packages a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; the house style is absolute"
            names = [node.module or ""]
            if node.module == "genbench":
                # `from genbench import core` is an import of core, `from genbench import __version__` is not
                names = [f"genbench.{alias.name}" for alias in node.names if alias.name in ALLOWED]
        found |= {name.split(".")[1] for name in names if name.startswith("genbench.")}
    return found


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda p: str(p.relative_to(SOURCE)))
def test_a_file_imports_only_what_its_package_may(path: Path) -> None:
    package = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    assert package in ALLOWED, f"{package} has no place in the architecture: add it to ALLOWED"
    assert imports(path) - {package} <= ALLOWED[package]


def test_metrics_and_families_never_meet() -> None:
    assert "families" not in ALLOWED["metrics"] | ALLOWED["evaluation"] | ALLOWED["benchmark"] | ALLOWED["training"]


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda p: str(p.relative_to(SOURCE)))
def test_files_stay_small(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < 60, f"{path.name}:{node.lineno} {node.name} is too long"
