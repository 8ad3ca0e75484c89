"""The kept state as folders: copied out, put back as a whole, and refused when it is not what was put back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stagekeeper.embedded import kept
from stagekeeper.embedded.errors import KeptStateUnusable

VERSION = "1.0"


def written(folder: Path, text: str = "first") -> Path:
    """A run's state as a server left it."""
    (folder / "services").mkdir(parents=True)
    (folder / "services" / "lambda.json").write_text(text)
    (folder / "s3").mkdir()
    (folder / "s3" / "object").write_text(text)
    return folder


def checked_out(at: Path, version: str = VERSION) -> str:
    """What a run that begins with the state kept in ``at`` finds."""
    state = at.with_name("next")
    shutil.rmtree(state, ignore_errors=True)
    kept.check_out(at, state, version)
    return (state / "services" / "lambda.json").read_text()


def test_a_run_begins_with_what_the_last_one_left(tmp_path: Path) -> None:
    at = tmp_path / "kept"

    kept.put_back(written(tmp_path / "one"), at, VERSION)
    kept.put_back(written(tmp_path / "two", "second"), at, VERSION)

    assert checked_out(at) == "second"


def test_a_run_works_on_a_copy(tmp_path: Path) -> None:
    at = tmp_path / "kept"
    kept.put_back(written(tmp_path / "one"), at, VERSION)
    checked_out(at)

    (tmp_path / "next" / "services" / "lambda.json").write_text("changed")

    assert checked_out(at) == "first"
    assert kept.MANIFEST not in {path.name for path in (tmp_path / "next").iterdir()}


def test_where_nothing_is_kept_a_run_begins_with_nothing(tmp_path: Path) -> None:
    kept.check_out(tmp_path / "kept", tmp_path / "state", VERSION)

    assert list(tmp_path.iterdir()) == []


def test_putting_back_what_another_process_has_put_back_changes_nothing(tmp_path: Path) -> None:
    at, state = tmp_path / "kept", written(tmp_path / "one")

    kept.put_back(state, at, VERSION)
    kept.put_back(state, at, VERSION)

    assert checked_out(at) == "first"


def test_of_many_that_put_one_state_back_at_once_all_end_well(tmp_path: Path) -> None:
    at = tmp_path / "kept"
    for round_ in range(20):
        state = written(tmp_path / f"run-{round_}", str(round_))
        with ThreadPoolExecutor(4) as pool:
            for ended in [pool.submit(kept.put_back, state, at, VERSION) for _ in range(4)]:
                ended.result()
        assert checked_out(at) == str(round_)


def test_a_swap_that_was_broken_off_before_the_new_state_was_there_leaves_the_old(tmp_path: Path) -> None:
    at = tmp_path / "kept"
    kept.put_back(written(tmp_path / "one"), at, VERSION)
    at.rename(tmp_path / "kept.before")

    assert checked_out(at) == "first"


def test_a_swap_that_was_broken_off_before_the_old_state_was_removed_is_ended_by_the_next(tmp_path: Path) -> None:
    at = tmp_path / "kept"
    kept.put_back(written(tmp_path / "one"), at, VERSION)
    written(tmp_path / "kept.before", "older")

    assert checked_out(at) == "first"
    assert not (tmp_path / "kept.before").exists()


def test_another_version_is_refused_naming_both_and_what_to_do(tmp_path: Path) -> None:
    at = tmp_path / "kept"
    kept.put_back(written(tmp_path / "one"), at, "0.9")

    with pytest.raises(KeptStateUnusable) as refused:
        checked_out(at)

    for told in ("ministack 0.9", f"ministack {VERSION}", "Start without --keep", f"remove {at}"):
        assert told in str(refused.value)


def test_an_older_format_of_the_same_version_is_refused(tmp_path: Path) -> None:
    at = tmp_path / "kept"
    kept.put_back(written(tmp_path / "one"), at, VERSION)
    manifest = json.loads((at / kept.MANIFEST).read_text())
    (at / kept.MANIFEST).write_text(json.dumps({**manifest, "format": kept.FORMAT - 1}))

    with pytest.raises(KeptStateUnusable, match=rf"\(format {kept.FORMAT - 1}\)"):
        checked_out(at)


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lambda at: (at / "services" / "lambda.json").write_text("{"), "services/lambda.json is not as it was written"),
        (lambda at: (at / "s3" / "object").unlink(), "s3/object is missing"),
        (lambda at: (at / "s3" / "more").touch(), "s3/more was not there when it was written"),
        (lambda at: (at / kept.MANIFEST).unlink(), "kept.json is missing"),
        (lambda at: (at / kept.MANIFEST).write_text("[]"), "kept.json cannot be read"),
        (lambda at: (at / kept.MANIFEST).write_text("{"), "kept.json cannot be read"),
    ],
    ids=["changed", "gone", "added", "no list", "a list of another form", "no JSON"],
)
def test_a_damaged_one_is_refused_naming_what_is_wrong(tmp_path: Path, harm: Callable[[Path], object], told: str) -> None:
    at = tmp_path / "kept"
    kept.put_back(written(tmp_path / "one"), at, VERSION)
    harm(at)

    with pytest.raises(KeptStateUnusable, match=f"damaged: {told}. Start without --keep"):
        checked_out(at)
