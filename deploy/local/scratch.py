"""A stack of a run's own, for tests and measurements: beside any other, and thrown away at the end."""

import os
import random
import shutil
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from . import ports, stack


@contextmanager
def scratch_stack(
    root: Path, name: str, *, secured: bool = False, say: Callable[[str], None]
) -> Generator[stack.Stack]:
    """Kafka and PostgreSQL with the program's topics and tables, and no service, until the block ends.

    `name` is in its folder's. Meanwhile WHP_LOCAL names it. Raises StackError and the errors of `prepare`.
    """
    before = os.environ.get("WHP_LOCAL")
    # Not a folder that is closed to others, as pytest's is: as root the database server runs as a user of its own.
    folder = Path(tempfile.mkdtemp(prefix=f"whp-{name}-"))
    folder.chmod(0o755)
    os.environ["WHP_LOCAL"] = str(folder)
    # Away from the usual ports: a stack may be up beside it, or a second run.
    shift = random.randrange(1, 60) * 100  # noqa: S311 - no secret
    usual = dict(ports.DEFAULTS)
    ports.DEFAULTS.update({part: port + shift for part, port in usual.items()})
    try:
        stack.up(root, services=False, traces=False, secured=secured, say=say)
        stack.prepare(root, say=say)
        started = stack.read(root)
        assert started is not None
        yield started
    finally:
        stack.down(root, say=say)
        shutil.rmtree(folder, ignore_errors=True)
        ports.DEFAULTS.update(usual)
        if before is None:
            del os.environ["WHP_LOCAL"]
        else:
            os.environ["WHP_LOCAL"] = before
