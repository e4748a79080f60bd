"""Fetch the jars of `requirements/kafka.txt` and let none in whose hash differs."""

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .layout import Layout, StackError

_LINE = re.compile(
    r"(?P<group>[\w.-]+):(?P<name>[\w.-]+):(?P<version>[\w.-]+)(?::(?P<classifier>[\w.-]+))?"
    r"\s+sha256:(?P<sha256>[0-9a-f]{64})"
)


@dataclass(frozen=True)
class Artifact:
    """One jar: its Maven coordinate and the hash that the file must have."""

    group: str
    name: str
    version: str
    classifier: str
    sha256: str

    @property
    def coordinate(self) -> str:
        parts = (self.group, self.name, self.version, self.classifier)
        return ":".join(part for part in parts if part)

    @property
    def filename(self) -> str:
        return f"{self.name}-{self.version}{'-' if self.classifier else ''}{self.classifier}.jar"


def parse(text: str) -> list[Artifact]:
    """Read a list of coordinates, one a line; `#` starts a comment.

    Raises StackError naming the line that is not `group:artifact:version[:classifier] sha256:<hex>`.
    """
    artifacts: list[Artifact] = []
    for number, line in enumerate(text.splitlines(), start=1):
        entry = line.partition("#")[0].strip()
        if not entry:
            continue
        match = _LINE.fullmatch(entry)
        if match is None:
            raise StackError(
                f"Line {number} of the jar list is not `group:artifact:version[:classifier] sha256:<hex>`; mend it."
            )
        fields = match.groupdict(default="")
        artifacts.append(Artifact(**fields))
    return artifacts


def listed(root: Path) -> tuple[list[Artifact], Artifact | None]:
    """The broker's jars and the trace viewer's, as `requirements/kafka.txt` has them.

    Raises StackError when the list is missing or malformed.
    """
    path = root / "requirements" / "kafka.txt"
    try:
        artifacts = parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StackError(f"{path} cannot be read; restore it from the repository.") from error
    viewer = [artifact for artifact in artifacts if artifact.group == "io.zipkin"]
    return [artifact for artifact in artifacts if artifact not in viewer], next(iter(viewer), None)


def cache_folder(layout: Layout) -> Path:
    """Where jars are kept: WHP_CACHE, else the home directory's cache, else the stack's own folder."""
    if named := os.environ.get("WHP_CACHE"):
        candidates = [Path(named).expanduser().absolute()]
    else:
        candidates = [Path("~/.cache/workhardening").expanduser(), layout.base / "cache"]
    for folder in candidates:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (OSError, RuntimeError):
            continue
        if os.access(folder, os.W_OK):
            return folder
    raise StackError(f"{candidates[0]} cannot be written; set WHP_CACHE to a folder that can be.")


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def download(artifact: Artifact, folder: Path) -> Path:
    """Fetch one jar into a folder and give its path there, its hash not yet checked.

    Raises any error of the network or of jgo.
    """
    from jgo.maven import MavenContext  # slow to import, and needed on the first start only

    component = MavenContext(repo_cache=folder, timeout=60).project(artifact.group, artifact.name)
    return Path(component.at_version(artifact.version).artifact(artifact.classifier).resolve())


def fetch(
    artifacts: Sequence[Artifact],
    cache: Path,
    say: Callable[[str], None],
    *,
    get: Callable[[Artifact, Path], Path] = download,
) -> list[Path]:
    """Have every jar in the cache, whole and with the right hash; only what is missing is downloaded.

    Raises StackError when one cannot be had or has another hash; such a file is not kept.
    """
    paths = [cache / artifact.filename for artifact in artifacts]
    missing: list[Artifact] = []
    for artifact, path in zip(artifacts, paths, strict=True):
        if not path.exists():
            missing.append(artifact)
        elif sha256_of(path) != artifact.sha256:
            say(f"{path.name} in the cache is damaged; it is fetched again")
            path.unlink()
            missing.append(artifact)
    if missing:
        count = "1 jar" if len(missing) == 1 else f"{len(missing)} jars"
        say(f"fetching {count}, once: {missing[0].name} {missing[0].version} ...")
    for artifact in missing:
        _fetch_one(artifact, cache, get)
    return paths


def _fetch_one(artifact: Artifact, cache: Path, get: Callable[[Artifact, Path], Path]) -> None:
    # jgo writes straight to the final name, so a download that breaks off would look whole. It gets a folder of its
    # own, and the file enters the cache by a rename after its hash was checked.
    folder = Path(tempfile.mkdtemp(dir=cache, prefix=".download-"))
    try:
        try:
            path = get(artifact, folder)
        except Exception as error:
            raise StackError(
                f"{artifact.coordinate} could not be downloaded ({type(error).__name__}); "
                "connect this machine to the Maven repository once, or copy the jar into "
                f"{cache / artifact.filename}."
            ) from error
        found = sha256_of(path)
        if found != artifact.sha256:
            raise StackError(
                f"{artifact.coordinate} has sha256 {found} and not {artifact.sha256}; it was deleted: "
                "find out who changed it, or correct requirements/kafka.txt."
            )
        path.replace(cache / artifact.filename)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
