"""The command line. Not in the handlers' zip; uses ``aws`` and ``domain`` for reading, and Step Functions for operations."""
