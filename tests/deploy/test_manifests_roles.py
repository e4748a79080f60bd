"""An installation's roles are made from the services' own secrets, on a PostgreSQL that has seen nothing of us."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from deploy.credentials import database_url
from deploy.local import postgres
from deploy.local.layout import layout_of, make_folders
from deploy.local.ports import choose
from deploy.local.provision import SERVICES
from deploy.manifests import ROOT
from deploy.roles import make_roles
from runtime.migrate import apply_access, apply_service

pytestmark = pytest.mark.stack


@pytest.fixture
def empty() -> Iterator[str]:
    """A server of the test's own: the URL of its superuser, on a database that is not there yet."""
    # Not pytest's folder, which is closed to others: as root the server runs as a user of its own.
    folder = Path(tempfile.mkdtemp(prefix="whp-roles-"))
    folder.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WHP_LOCAL", str(folder))
        layout = layout_of(ROOT)
        make_folders(layout)
        port = choose("postgres", 16432, set(), print)
        pid = postgres.start(layout, port, print)
        try:
            postgres.await_ready(layout, pid)
            yield postgres.dsn(layout, postgres.ADMIN, port)
        finally:
            postgres.end(layout, [pid])
            shutil.rmtree(folder, ignore_errors=True)


def kept(folder: Path, admin: str, passwords: dict[str, str]) -> dict[str, str]:
    """The secrets as the job `prepare` has them; gives each service's URL."""
    server = admin.rpartition("@")[2].partition("/")[0]
    (folder / "whp_admin_database_url").write_text(f"{admin}\n", encoding="utf-8")
    urls = {name: database_url(name, password, server, None) for name, password in passwords.items()}
    for name, url in urls.items():
        (folder / f"{name}_database_url").write_text(url, encoding="utf-8")
    return urls


async def role_of(url: str) -> str:
    """Who one is behind a URL."""
    connection = await asyncpg.connect(url, timeout=10)
    try:
        return str(await connection.fetchval("SELECT current_user"))
    finally:
        await connection.close()


async def test_from_nothing_to_tables_and_a_new_password_takes_effect(empty: str, tmp_path: Path) -> None:
    first = kept(tmp_path, empty, {name: f"first-{name}" for name in SERVICES})
    await make_roles(tmp_path)
    for name, url in first.items():
        assert await apply_service(empty, name, name)
        assert await role_of(url) == name
    assert await apply_access(empty)

    second = kept(tmp_path, empty, {name: f"second-{name}" for name in SERVICES})
    await make_roles(tmp_path)
    for name, url in second.items():
        assert await role_of(url) == name
        assert await apply_service(empty, name, name) == [], "what was there stays"
        with pytest.raises(asyncpg.InvalidPasswordError):
            await role_of(first[name])
