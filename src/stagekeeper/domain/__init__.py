"""The rules, and nothing else: facts in, decisions with reasons out.

Nothing here knows AWS, a clock, the environment, pydantic or logging; time comes in as an argument. The import contract in
``pyproject.toml`` checks that.
"""
