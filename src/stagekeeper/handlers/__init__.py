"""The Lambda entry points: one short module per state of the state machine, with the state's name.

Each parses its payload, makes one call into ``engine`` and dumps the answer. No rule lives here.
"""
