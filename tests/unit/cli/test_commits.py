"""Which commits lie between two, in a checkout of a test's own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from stagekeeper.cli.commits import SHOWN, Between, Commit, Commits, NotHere, between, shown

_WHO = {
    **{f"GIT_{role}_{what}": f"jane{at}" for role in ("AUTHOR", "COMMITTER") for what, at in (("NAME", ""), ("EMAIL", "@x"))},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}


class Checkout:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *words: str) -> str:
        command = ["git", "-C", str(self.folder), *words]
        return subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **_WHO}).stdout.strip()  # noqa: S603 - our own words

    def signed(self, subject: str) -> str:
        """A commit with a signature that nobody can check."""
        head, _, body = self.git("cat-file", "commit", self.commit(subject)).partition("\n\n")
        signature = "gpgsig -----BEGIN PGP SIGNATURE-----\n \n iQ\n -----END PGP SIGNATURE-----"
        content = self.folder / "content"
        content.write_text(f"{head}\n{signature}\n\n{body}\n")
        return self.git("hash-object", "-t", "commit", "-w", str(content))

    def commit(self, subject: str) -> str:
        self.git("commit", "--quiet", "--allow-empty", "-m", subject, "-m", "The body is not shown.")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def subjects(commits: Commits) -> list[str]:
    return [each.subject for each in commits.shown]


def test_what_came_after_is_told_newest_first(checkout: Checkout) -> None:
    one = checkout.commit("one")
    checkout.commit("two")
    three = checkout.commit("three")

    found = between(checkout.folder, one, three)

    assert isinstance(found, Between)
    assert found.only_a == Commits()
    assert (subjects(found.only_b), found.only_b.count) == (["three", "two"], 2)
    assert three.startswith(found.only_b.shown[0].hash)


def test_what_came_before_is_the_other_way_round(checkout: Checkout) -> None:
    one, two = checkout.commit("one"), checkout.commit("two")

    found = between(checkout.folder, two, one)

    assert isinstance(found, Between)
    assert (subjects(found.only_a), found.only_b.count) == (["two"], 0)


def test_where_they_diverged_both_have_some(checkout: Checkout) -> None:
    checkout.commit("base")
    checkout.git("checkout", "--quiet", "-b", "feature")
    ours = checkout.commit("ours")
    checkout.git("checkout", "--quiet", "main")
    theirs = checkout.commit("theirs")

    found = between(checkout.folder, ours, theirs)

    assert isinstance(found, Between)
    assert (subjects(found.only_a), subjects(found.only_b)) == (["ours"], ["theirs"])


def test_the_same_commit_leaves_nothing_between(checkout: Checkout) -> None:
    one = checkout.commit("one")

    assert between(checkout.folder, one, one) == Between(Commits(), Commits())


def test_many_are_counted_and_the_newest_shown(checkout: Checkout) -> None:
    one = checkout.commit("0")
    for number in range(1, SHOWN + 3):
        last = checkout.commit(str(number))

    found = between(checkout.folder, one, last)

    assert isinstance(found, Between)
    assert found.only_b.count == SHOWN + 2
    assert subjects(found.only_b) == [str(number) for number in range(SHOWN + 2, 2, -1)]


def test_a_commit_may_be_told_by_the_beginning_of_its_hash(checkout: Checkout) -> None:
    one, two = checkout.commit("one"), checkout.commit("two")

    found = between(checkout.folder, one[:7], two[:12])

    assert isinstance(found, Between)
    assert subjects(found.only_b) == ["two"]


def test_what_was_deployed_without_being_committed_lies_where_its_commit_does(checkout: Checkout) -> None:
    one, two = checkout.commit("one"), checkout.commit("two")

    found = between(checkout.folder, f"{one}-dirty", f"{two}-dirty")

    assert isinstance(found, Between)
    assert subjects(found.only_b) == ["two"]


@pytest.mark.parametrize(
    ("commit", "read"), [("1a2b3c4d5e6f", "1a2b3c4d"), ("1a2b3c4d5e6f-dirty", "1a2b3c4d-dirty"), ("v1", "v1")]
)
def test_of_a_commit_people_read_the_beginning_and_whether_more_was_deployed(commit: str, read: str) -> None:
    assert shown(commit) == read


def test_commits_that_the_checkout_does_not_have_are_named(checkout: Checkout) -> None:
    one = checkout.commit("one")

    assert between(checkout.folder, one, "f" * 40) == NotHere(["f" * 40])
    assert between(checkout.folder, "e" * 40, "f" * 40) == NotHere(["e" * 40, "f" * 40])


@pytest.mark.parametrize("wicked", ["--output=owned", "main", "HEAD", "1a2b3c4; rm", "", "abc", "1A2B3C4D"])
def test_nothing_but_a_hash_reaches_git(checkout: Checkout, wicked: str) -> None:
    one = checkout.commit("one")

    assert between(checkout.folder, one, wicked) == NotHere([wicked])
    assert not (checkout.folder / "owned").exists()


def test_a_tree_is_no_commit(checkout: Checkout) -> None:
    one = checkout.commit("one")
    tree = checkout.git("rev-parse", "HEAD^{tree}")

    assert between(checkout.folder, one, tree) == NotHere([tree])


def test_what_the_person_configured_does_not_change_what_is_read(checkout: Checkout) -> None:
    one, two = checkout.commit("one"), checkout.signed("two")
    checker = checkout.folder / "gpg"
    checker.write_text("#!/bin/sh\necho the key is not known >&2\nexit 1\n")
    checker.chmod(0o755)
    configured = {"color.ui": "always", "log.showSignature": "true", "format.pretty": "fuller", "gpg.program": str(checker)}
    for name, value in configured.items():
        checkout.git("config", name, value)

    found = between(checkout.folder, one, two)

    assert isinstance(found, Between)
    assert found.only_b.shown == (Commit(two[:7], "two"),)


def test_outside_of_a_checkout_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))

    assert between(tmp_path, "1" * 40, "2" * 40) is None


def test_without_git_nothing_is_known(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    one = checkout.commit("one")
    monkeypatch.setenv("PATH", "")

    assert between(checkout.folder, one, one) is None
