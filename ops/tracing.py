"""The command that shows a case's trace."""

from __future__ import annotations

from uuid import UUID

from ops import traces
from ops.app import Json, answer, app, console
from ops.target import CommandError, as_json, target


@app.command
def trace(ref: UUID, *, json: Json = False) -> None:
    """A case's trace as trees: each clinic event, what was decided of it, and the employer's delivery.

    Times are those since the clinic's event, and how long each span took.

    Parameters
    ----------
    ref
        The case reference.
    """
    to = target()
    if to.zipkin is None:
        raise CommandError(
            "no trace viewer runs: `whp up` starts one; for another system set WHP_ZIPKIN to its address"
        )
    top = traces.fetch_trace(to.zipkin, ref)
    if not top:
        raise CommandError(
            f"the viewer has nothing of case {ref}: not sampled (WHP_TRACE_RATIO), forgotten, or unknown"
        )
    if json:
        answer(as_json([traces.as_data(node) for node in top]))
        return
    for node in top:
        console.print(traces.draw(node), soft_wrap=True)
    answer(f"{sum(node.count() for node in top)} spans; {to.zipkin}/zipkin/traces/{traces.trace_id(ref)}")
