"""Unpacked code on disk: once for each zip, whatever runs it; a run's folder stays small enough to be removed at once."""

from __future__ import annotations

from pathlib import Path

from .conftest import Account

WHERE = "import os\ndef handler(event, context): return os.path.realpath(__file__)"
DATA = "from pathlib import Path\nTEXT = Path(__file__).with_name('app.py').read_text()\ndef handler(event, context): return TEXT"


def test_functions_with_the_same_code_run_one_copy_of_it(account: Account) -> None:
    first, second = account.function(WHERE), account.function(WHERE)

    assert account.invoke(first) == account.invoke(second)


def test_other_code_is_another_copy(account: Account) -> None:
    first, second = account.function(WHERE), account.function(f"{WHERE}\n")

    assert account.invoke(first) != account.invoke(second)


def test_code_finds_the_files_of_its_zip_beside_it_and_at_its_root(account: Account) -> None:
    assert account.invoke(account.function(DATA)) == DATA

    root = "import os\ndef handler(event, context): return [os.listdir(), os.listdir(os.environ['LAMBDA_TASK_ROOT'])]"
    assert [sorted(name for name in names if name != "__pycache__") for names in account.invoke(account.function(root))] == [
        ["app.py"],
        ["app.py"],
    ]


def test_the_copy_lies_in_the_runs_folder(account: Account) -> None:
    place = Path(account.invoke(account.function(WHERE)))

    assert place.is_relative_to(account.instance.folder)
