"""The words by which the program's terms are said in FHIR R4: code systems, and what LOINC and SNOMED CT have for them.

Data only. Where a public code says exactly what a contract says, it is used; all else has a code system of our own
(`urn:workhardening:...`), whose codes are the contracts' words. docs/fhir.md shows them at work.
"""

from __future__ import annotations

from workhardening_contracts.quantity import Unit

LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
UCUM = "http://unitsofmeasure.org"
CPT = "http://www.ama-assn.org/go/cpt"

SERVICE = "urn:workhardening:service"
"""What is asked for: `work_hardening`."""
CASE = "urn:workhardening:case"
"""An identifier that is the case reference itself, a UUID."""
WORKER = "urn:workhardening:worker"
"""An identifier that is the contracts' `worker_ref`."""
EMPLOYER = "urn:workhardening:employer"
"""An identifier that is the contracts' `employer`."""
SCREENING = "urn:workhardening:screening"
"""`screening`, and as its components the fields of a Referral that answer a question."""
JOB = "urn:workhardening:job"
"""`job`, its component `shift_hours`, and the codes of `basis`."""
DEMAND = "urn:workhardening:demand"
"""A demand's key: `kind/zone/frequency`, `-` for no zone."""
CRITICAL = "urn:workhardening:critical"
"""`critical`."""
EXAMINATION = "urn:workhardening:examination"
"""`history`, `physical_examination`, `posture`, `red_flag`, `vo2max`."""
FINDING = "urn:workhardening:finding"
"""Codes of findings, of history and of red flags; `none` where a history or an examination found nothing."""
MOBILITY = "urn:workhardening:mobility"
"""`joint/movement`."""
MEASURE = "urn:workhardening:measure"
"""The contracts' outcome measures: a questionnaire's total."""
SESSION = "urn:workhardening:session"
"""`session`, and what is observed in one: `pain_before`, `pain_after`, `pain_next_day`, `exertion`, `confidence`,
`safety_stop`, `red_flag`."""
ATTENDANCE = "urn:workhardening:attendance"
"""`attended`, `partial`, `excused`, `absent`."""
BLOCK = "urn:workhardening:block"
"""`mobility`, `strengthening`, `endurance`, `job_simulation`, `education`."""
REASON = "urn:workhardening:reason"
"""The contracts' reason codes."""
READINESS = "urn:workhardening:readiness"
"""`readiness`, `standings`, `signature`, and the words of `ReadinessAssessed.readiness`."""

PROGRAM = frozenset({(SERVICE, "work_hardening"), (CPT, "97545"), (CPT, "97546")})
"""A request for one of these is a referral to the program."""
SESSION_TYPES = frozenset({(SESSION, "session"), (CPT, "97545"), (CPT, "97546")})
"""An encounter of one of these types is a session."""
OCCUPATION = (LOINC, "11341-5")
PAIN = (LOINC, "72514-3")
PHQ9_ITEM9 = (LOINC, "44260-8")
PHQ9_ANSWERS = {"LA6568-5": 0, "LA6569-3": 1, "LA6570-1": 2, "LA6571-9": 3}
"""LOINC's answers to a PHQ-9 item, with their scores."""
HEART_RATE = (LOINC, "8867-4")
HEART_RATE_RESTING = (LOINC, "40443-4")
HEART_RATE_PEAK = (LOINC, "55422-0")
BLOOD_PRESSURE = (LOINC, "85354-9")
SYSTOLIC = (LOINC, "8480-6")
DIASTOLIC = (LOINC, "8462-4")
SIX_MINUTE_WALK = (LOINC, "64098-7")
MEASURES = {(LOINC, "44261-6"): "phq_9"}
"""Totals that have a public code."""

SIDES = {"7771000": "left", "24028007": "right", "51440002": "both"}
"""SNOMED CT qualifiers of `bodySite`."""

UNITS: dict[str, Unit] = {
    "kg": "kg",
    "[lb_av]": "lb",
    "N": "N",
    "min": "min",
    "h": "h",
    "{repetitions}": "repetitions",
    "{score}": "score",
}
"""UCUM to the contracts' units."""
