"""The steps of an operation: gather facts through ``aws``, let ``domain`` decide, apply what it decided.

One module per state of the state machine. Holds no rule about stages (those are in ``domain``) and knows nothing of Lambda
events or Step Functions (that is ``handlers``).
"""
