"""A case's trace from the local viewer, as a tree across the services."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast
from uuid import UUID

import httpx
from rich.tree import Tree

from ops.target import CommandError


@dataclass
class SpanNode:
    """One span and what it led to."""

    id: str
    parent: str | None
    service: str
    name: str
    event: str
    start_us: int
    duration_us: int
    error: bool
    children: list[SpanNode] = field(default_factory=list["SpanNode"])

    def services(self) -> set[str]:
        """The services in this subtree."""
        return {self.service}.union(*(child.services() for child in self.children))

    def delivers(self) -> bool:
        """Whether an employer was told something in this subtree."""
        return self.name.startswith("deliver") or any(child.delivers() for child in self.children)

    def count(self) -> int:
        """The spans in this subtree."""
        return 1 + sum(child.count() for child in self.children)


def trace_id(case: UUID) -> str:
    """Every event of a case hangs in one trace, whose id is the case reference without its hyphens."""
    return case.hex


def fetch_trace(zipkin: str, case: UUID) -> list[SpanNode]:
    """The roots of the case's trace, earliest first. Raises CommandError when the viewer does not answer."""
    try:
        answer = httpx.get(f"{zipkin}/api/v2/trace/{trace_id(case)}", timeout=10, trust_env=False)
    except httpx.HTTPError as error:
        raise CommandError(f"the trace viewer does not answer ({type(error).__name__}): run `whp up`") from None
    if answer.status_code == 404:
        return []
    return roots(cast("list[dict[str, Any]]", answer.json()))


def roots(spans: list[dict[str, Any]]) -> list[SpanNode]:
    """Zipkin's spans as trees: a span whose parent is not there is a root."""
    nodes = {span["id"]: _node(span) for span in spans}
    top: list[SpanNode] = []
    for node in sorted(nodes.values(), key=lambda node: node.start_us):
        parent = nodes.get(node.parent or "")
        (parent.children if parent is not None else top).append(node)
    return top


def _node(span: dict[str, Any]) -> SpanNode:
    tags = cast("dict[str, str]", span.get("tags", {}))
    event = tags.get("cloudevents.event_type", "").removeprefix("org.workhardening.").removesuffix(".v1")
    return SpanNode(
        id=span["id"],
        parent=span.get("parentId"),
        service=span.get("localEndpoint", {}).get("serviceName", "?"),
        name=span.get("name", "?"),
        event=event,
        start_us=int(span.get("timestamp", 0)),
        duration_us=int(span.get("duration", 0)),
        error="error" in tags or "error.type" in tags,
    )


def widest(top: list[SpanNode]) -> SpanNode | None:
    """The root that reached the most services, an employer if it can be, by the fewest spans: the easiest to read."""
    return max(top, key=lambda node: (len(node.services()), node.delivers(), -node.count()), default=None)


def as_data(node: SpanNode) -> dict[str, Any]:
    """The subtree for a program; times in ms, the start since 1970."""
    return {
        "service": node.service,
        "name": node.name,
        "event": node.event,
        "start_ms": node.start_us / 1000,
        "duration_ms": node.duration_us / 1000,
        "error": node.error,
        "children": [as_data(child) for child in node.children],
    }


def draw(node: SpanNode) -> Tree:
    """The subtree as rich draws it, with times since its root."""
    tree = Tree(_label(node, node.start_us))
    _grow(tree, node, node.start_us)
    return tree


def _grow(tree: Tree, node: SpanNode, start: int) -> None:
    for child in node.children:
        _grow(tree.add(_label(child, start)), child, start)


def _label(node: SpanNode, start: int) -> str:
    colour = "red" if node.error else "cyan"
    return (
        f"[{colour}]{node.service}[/] {node.name} [bold]{node.event}[/]"
        f" [dim]+{(node.start_us - start) / 1000:.0f} ms, {node.duration_us / 1000:.1f} ms[/]"
    )
