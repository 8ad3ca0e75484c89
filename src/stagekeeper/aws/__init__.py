"""Adapters: each method reads facts from AWS or applies exactly one action, translates errors, paginates and paces.

Nothing here decides anything about stages.
"""
