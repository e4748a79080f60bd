"""Commands that decide: the lifting index, the contract gate."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from ops.app import Json, answer, app, contracts
from ops.contracts import Breaking, check, freeze
from ops.target import ROOT, CommandError, as_json
from services.intake.lifting import LiftingTask, NotApplicable, lifting_index


@app.command(name="lifting-index")
def lifting(task: Path) -> None:
    """Grade a lifting task of a job by the revised NIOSH equation; prints JSON.

    Parameters
    ----------
    task
        A JSON file with unit_system (metric or us), load, horizontal, vertical, travel, asymmetry, lifts_per_minute,
        duration_hours and coupling (good, fair or poor). cm and kg, or in and lb.
    """
    try:
        graded = lifting_index(LiftingTask.model_validate_json(task.read_bytes()))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise CommandError(f"{task}: {'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}") from None
    except NotApplicable as refused:
        raise CommandError(str(refused)) from None
    answer(as_json(graded.model_dump()))


@contracts.command(name="check")
def contracts_check(*, json: Json = False) -> int:
    """Check models, frozen schemas, examples, topics and AsyncAPI against each other."""
    findings = check(ROOT)
    if json:
        answer(as_json(findings))
    else:
        for finding in findings:
            answer(finding)
        answer(f"contracts: {len(findings)} findings" if findings else "contracts: all agree")
    return 1 if findings else 0


@contracts.command(name="freeze")
def contracts_freeze() -> None:
    """Freeze the schemas of new versions and write AsyncAPI anew; frozen files are never changed."""
    try:
        written = freeze(ROOT)
    except Breaking as breaking:
        raise CommandError("nothing was frozen:\n" + "\n".join(breaking.findings)) from None
    for line in written or ["nothing to do"]:
        answer(line)
