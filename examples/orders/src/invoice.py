"""Sets an invoice with `tabulate`, a third-party package in this function's zip."""

import os
from typing import Any

from tabulate import tabulate  # type: ignore[import-untyped]  # installed into the zip only, see the Makefile

TEXT = "Invoice"


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """The lines of an order, as ``[[article, amount], …]``, as a table."""
    table = tabulate(event["lines"], headers=("article", "amount"), tablefmt="plain")
    return {"text": TEXT, "setting": os.environ["TAX_PERCENT"], "version": context.function_version, "table": table}
