"""`python -m deploy.roles`: the database, its roles, schemas and rights, from the secrets of those who log in.

For an installation that is not the local stack. WHP_SECRETS_DIR has a superuser's `whp_admin_database_url`, and the URL
of each service as `<service>_database_url`: its password becomes the role's. Run again it changes what has changed, so
a new password takes effect, and then `whp migrate` brings the tables up to date.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from deploy.local.provision import SERVICES, make_database, provision


def password_of(url: str) -> str:
    """The password in a database's URL. Raises ValueError, which does not repeat it, when there is none."""
    password = urlsplit(url.strip()).password
    if not password:
        raise ValueError("a service's database URL has no password in it")
    return unquote(password)


def another_database(url: str, name: str) -> str:
    """The URL of another database on the same server."""
    return urlsplit(url.strip())._replace(path=f"/{name}").geturl()


async def make_roles(secrets: Path) -> None:
    """Bring database, roles, schemas and rights to the wanted state. Raises OSError, ValueError, asyncpg's errors."""
    admin = (secrets / "whp_admin_database_url").read_text(encoding="utf-8").strip()
    passwords = {
        service: password_of((secrets / f"{service}_database_url").read_text(encoding="utf-8")) for service in SERVICES
    }
    await make_database(another_database(admin, "postgres"))
    await provision(admin, passwords)


if __name__ == "__main__":
    asyncio.run(make_roles(Path(os.environ["WHP_SECRETS_DIR"])))
