"""What each service's state must be, written a second time in the simplest way: a replay of its log, event by event.

Shares no code with the services. States are plain dictionaries; events are the JSON that was stored. Where the design
leaves a number to policy, the default is in `numbers`; cases that were decided by another policy are not replayed.
"""
