"""Stagekeeper: deploys, rolls back and keeps the truth about *stages* of a Lambda service.

A stage is one alias name on every function of a service. Read in this order: ``domain`` decides (pure), ``aws`` reads one
fact or applies one action, ``engine`` lines the two up into the steps of an operation, ``handlers`` are the Lambda entry
points named as the states of ``src/statemachine/operation.asl.json``, ``cli`` is the command line.
"""
