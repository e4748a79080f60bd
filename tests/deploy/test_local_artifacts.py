"""The jars of the local stack: the list, the hashes, the cache."""

import hashlib
from pathlib import Path

import pytest

from deploy.local.artifacts import Artifact, cache_folder, fetch, listed, parse
from deploy.local.layout import Layout, StackError

ROOT = Path(__file__).parents[2]
CONTENT = b"a jar"
JAR = Artifact("org.example", "jar", "1.0", "", hashlib.sha256(CONTENT).hexdigest())


def say_nothing(_: str) -> None:
    return


class Source:
    """A stand-in for the Maven repository that counts what is asked of it."""

    def __init__(self, content: bytes, breaks_off: bool = False) -> None:
        self.content = content
        self.breaks_off = breaks_off
        self.asked = 0

    def __call__(self, artifact: Artifact, folder: Path) -> Path:
        self.asked += 1
        path = folder / artifact.filename
        path.write_bytes(self.content)
        if self.breaks_off:
            raise ConnectionError("the line went dead")
        return path


def test_a_line_gives_a_coordinate_and_a_hash() -> None:
    text = f"# a comment\n\ng.h:name:1.2:exec sha256:{'a' * 64}  # why\ng.h:other:3 sha256:{'b' * 64}\n"
    first, second = parse(text)
    assert (first.coordinate, first.filename, first.sha256) == ("g.h:name:1.2:exec", "name-1.2-exec.jar", "a" * 64)
    assert (second.coordinate, second.filename, second.classifier) == ("g.h:other:3", "other-3.jar", "")


@pytest.mark.parametrize(
    "line",
    ["g:a:1", "g:a sha256:" + "a" * 64, "g:a:1 sha256:abc", "g:a:1 md5:" + "a" * 64, "g:../a:1 sha256:" + "a" * 64],
)
def test_a_line_that_is_no_coordinate_with_a_hash_is_named(line: str) -> None:
    with pytest.raises(StackError, match="Line 2 "):
        parse(f"# head\n{line}\n")


def test_the_list_has_one_version_of_kafka_and_names_no_place_to_download_from() -> None:
    jars, viewer = listed(ROOT)
    assert {jar.version for jar in jars if jar.group == "org.apache.kafka"} == {"4.3.1"}
    assert len(jars) == 46
    assert viewer is not None
    assert viewer.coordinate == "io.zipkin:zipkin-server:3.6.1:exec"
    assert "://" not in (ROOT / "requirements" / "kafka.txt").read_text(encoding="utf-8")


def test_a_missing_jar_is_downloaded_once(tmp_path: Path) -> None:
    source = Source(CONTENT)
    for _ in range(2):
        assert fetch([JAR], tmp_path, say_nothing, get=source) == [tmp_path / "jar-1.0.jar"]
    assert source.asked == 1
    assert [path.name for path in tmp_path.iterdir()] == ["jar-1.0.jar"]


def test_a_jar_with_another_hash_is_refused_and_deleted(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"org\.example:jar:1\.0 has sha256"):
        fetch([JAR], tmp_path, say_nothing, get=Source(b"something else"))
    assert list(tmp_path.iterdir()) == []


def test_a_download_that_breaks_off_leaves_nothing_behind_and_says_how_to_mend_it(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"could not be downloaded \(ConnectionError\); connect"):
        fetch([JAR], tmp_path, say_nothing, get=Source(CONTENT, breaks_off=True))
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_jar_in_the_cache_is_fetched_again(tmp_path: Path) -> None:
    (tmp_path / JAR.filename).write_bytes(CONTENT[:2])
    said: list[str] = []
    assert fetch([JAR], tmp_path, said.append, get=Source(CONTENT))[0].read_bytes() == CONTENT
    assert said[0] == "jar-1.0.jar in the cache is damaged; it is fetched again"


def test_the_cache_can_be_named_and_else_is_in_the_home_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("WHP_CACHE", raising=False)
    assert cache_folder(Layout(tmp_path)) == tmp_path / "home" / ".cache" / "workhardening"
    monkeypatch.setenv("WHP_CACHE", str(tmp_path / "named"))
    assert cache_folder(Layout(tmp_path)) == tmp_path / "named"


def test_without_a_writable_home_the_cache_is_in_the_stack_s_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").write_text("no folder can be made below a file", encoding="utf-8")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("WHP_CACHE", raising=False)
    assert cache_folder(Layout(tmp_path)) == tmp_path / "cache"
