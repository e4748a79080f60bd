"""Abuse, by number. A test's name begins with the number of its case; what each must hold is its sentence.

1-6, 8-10 records, in `test_records.py`; 5-16 and 24 the HTTP doors, in `test_front_door.py`; 18-23 webhooks, in
`test_webhooks.py`; 25 the disclosure log, in `test_disclosure_log.py`; `test_every_door.py` asks each door whatever its
description permits, and what it does not.

One case is not here, since it concerns neither records nor a door: 17, an employer that reads an internal topic, is
refused by the broker's access lists, in `tests/deploy/test_secured_stack.py`.
"""
