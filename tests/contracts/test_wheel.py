"""The wheel that partners install: built offline, and imported where only pydantic and what it needs lie beside it."""

import re
import shutil
import subprocess
import sys
import venv
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

IMPORT_ALL = """
import importlib, importlib.util, pkgutil, sys
import workhardening_contracts as package
for module in pkgutil.iter_modules(package.__path__, "workhardening_contracts."):
    importlib.import_module(module.name)
    print(module.name)
for name in ("orjson", "faststream", "aiokafka", "yaml", "cryptography", "pip", "runtime", "services", "ops"):
    assert importlib.util.find_spec(name) is None, name
"""


def _needed(name: str) -> set[str]:
    """A distribution and all that it requires, without its extras."""
    found, queue = set[str](), [name]
    while queue:
        one = queue.pop()
        if one not in found:
            found.add(one)
            required = [text for text in distribution(one).requires or () if "extra ==" not in text]
            queue += [re.split(r"[^A-Za-z0-9._-]", text, maxsplit=1)[0] for text in required]
    return found


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("wheel")
    source = shutil.copytree(ROOT / "contracts", where / "contracts", ignore=shutil.ignore_patterns("__pycache__"))
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(where / "dist")]
    subprocess.run(build, cwd=source, check=True, capture_output=True, timeout=120)
    (built,) = (where / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter of an environment that holds the wheel, pydantic and nothing else."""
    home = tmp_path_factory.mktemp("partner") / "env"
    venv.EnvBuilder(with_pip=False, symlinks=True).create(home)
    (site,) = home.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    for name in _needed("pydantic"):
        for file in distribution(name).files or ():
            if ".." not in file.parts and file.suffix != ".pyc":
                (site / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(str(file.locate()), site / file)
    return home / "bin/python"


def _run(python: Path, *arguments: str) -> str:
    done = subprocess.run([str(python), "-I", *arguments], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_module_imports_with_pydantic_alone(python: Path) -> None:
    imported = set(_run(python, "-W", "error", "-c", IMPORT_ALL).split())
    modules = {path.stem for path in (ROOT / "contracts/workhardening_contracts").glob("*.py")} - {"__init__"}
    assert imported == {f"workhardening_contracts.{module}" for module in modules}


def test_the_wheel_is_typed_says_what_it_is_and_needs_pydantic_only(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        text = archive.read(metadata).decode()
    assert "workhardening_contracts/py.typed" in names
    assert {name.split("/")[0] for name in names} == {"workhardening_contracts", metadata.split("/")[0]}
    assert re.findall(r"^Requires-Dist: (.*)$", text, re.MULTILINE) == ["pydantic<3,>=2.12"]
    assert "## Build one event" in text


def test_the_readme_does_what_it_says(python: Path, tmp_path: Path) -> None:
    readme = (ROOT / "contracts/README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 6
    (tmp_path / "readme.py").write_text("\n".join(blocks), encoding="utf-8")
    printed = _run(python, str(tmp_path / "readme.py"))
    assert printed == (
        "org.workhardening.clinic.day.closed.v1 0195a3c2-7e40-7b1a-9f3e-2c4d5e6f7a8b "
        "through=datetime.date(2026, 3, 15)\n"
    )
