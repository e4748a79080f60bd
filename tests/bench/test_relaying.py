"""What a relay published is held to what it promises: each row, once, and in its case's order."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench import relaying
from bench.relaying import VARIANTS, differs
from bench.wire import make_topic
from deploy.local import stack as local

WHOLE = [(case, number) for number in range(3) for case in (b"a", b"b")]


def test_each_row_once_in_its_order_is_as_it_should_be() -> None:
    assert differs(WHOLE, 6, ordered=True) is None


def test_a_lost_row_is_found() -> None:
    assert differs(WHOLE[:-1], 6, ordered=False) == "published 5 of 6 rows"


def test_a_row_that_took_the_place_of_a_lost_one_does_not_hide_it() -> None:
    assert differs([*WHOLE[:-1], WHOLE[0]], 6, ordered=False) == "published 5 of 6 rows"


def test_a_doubled_row_is_found() -> None:
    assert differs([*WHOLE, WHOLE[-1]], 6, ordered=False) == "published 1 rows twice"


def test_rows_out_of_order_are_found_where_order_is_promised() -> None:
    swapped = [WHOLE[2], *WHOLE[1:2], WHOLE[0], *WHOLE[3:]]
    assert differs(swapped, 6, ordered=True) == "published row 1 of a case where row 0 was due"
    assert differs(swapped, 6, ordered=False) is None


@pytest.mark.stack
async def test_relays_publish_every_row(infrastructure: local.Stack) -> None:
    """Those that run in the program's own environment."""
    await make_topic(infrastructure.kafka, relaying.TOPIC)
    for variant in VARIANTS.values():
        if not variant.peer:
            sample = await relaying.sample(infrastructure, replace(variant, rows=2000), 1)
            assert sample.events > 0
            assert sample.cpu_s["client"] > 0
