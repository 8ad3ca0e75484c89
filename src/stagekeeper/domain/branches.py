"""Branches to stages: which stage a branch is deployed to, whose a personal stage is, which stages leave with a deleted branch.

Pure: the branch, the person and the rules come in, a value with its reason comes out. Must not know git, CI or the project file.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from stagekeeper.domain.model import STAGE_NAME, StageName
from stagekeeper.domain.stack_plan import stack_slug

#: The stage on the embedded AWS. Always shared by name, so that nobody's own stage in an account is called that.
LOCAL = StageName("local")

#: What a rule gives for the stage of the person at work. It can be no stage's name.
PERSONAL = "<user>"

#: The longest name that a stage may have (STAGE_NAME).
_LONGEST = 63

_HEADS = "refs/heads/"
_INSTEAD = "Give another name with --user or STAGEKEEPER_USER, or name the stage with --stage."


@dataclass(frozen=True, slots=True)
class Rule:
    """Branches that match ``pattern`` (as in a shell; ``*`` passes slashes too) go to ``target``: a stage's name, or PERSONAL.

    ``own``: it is the project's, not a default.
    """

    pattern: str
    target: str
    own: bool = False

    @property
    def exact(self) -> bool:
        return not any(sign in self.pattern for sign in "*?[")


Rules = tuple[Rule, ...]

#: None for hotfix/*: where they go differs from team to team, and a wrong guess would be prod.
DEFAULT_RULES: Rules = (
    Rule("feature/*", PERSONAL),
    Rule("develop", "dev"),
    Rule("release/*", "qa"),
    Rule("main", "prod"),
    Rule("master", "prod"),
)


def rules_with(own: Mapping[str, str]) -> Rules:
    """The project's own rules (pattern -> target), in their order, and the defaults that they do not override."""
    return (
        *(Rule(pattern, target, own=True) for pattern, target in own.items()),
        *(rule for rule in DEFAULT_RULES if rule.pattern not in own),
    )


def shared_stages(rules: Iterable[Rule], named: Iterable[str]) -> frozenset[StageName]:
    """The stages that are nobody's own: what the rules give, those that the project names, and ``local``."""
    targets = {rule.target for rule in rules}
    return frozenset(StageName(name) for name in {*targets, *named, LOCAL} - {PERSONAL})


def rule_for(branch: str, rules: Iterable[Rule]) -> Rule | None:
    """The rule that holds for a branch: one that spells it out, then the project's own, then the longest pattern."""
    matching = [rule for rule in rules if fnmatchcase(branch, rule.pattern)]
    return min(matching, key=lambda rule: (not rule.exact, not rule.own, -len(rule.pattern)), default=None)


def branch_of_ref(ref: str | None) -> str | None:
    """The branch that a ref means: ``refs/heads/main`` is main. None for a tag or another ref, and where none is checked out."""
    if not ref or ref == "HEAD":
        return None
    if ref.startswith("refs/"):
        return ref.removeprefix(_HEADS) or None if ref.startswith(_HEADS) else None
    return ref


# From a branch to its stage.


@dataclass(frozen=True, slots=True)
class Mapped:
    """The stage of a branch, by ``rule`` (its pattern). ``personal``: it is the person's own."""

    stage: StageName
    personal: bool
    rule: str


@dataclass(frozen=True, slots=True)
class NoStage:
    """No stage follows from the branch: why, and what to do."""

    sentence: str


BranchStage = Mapped | NoStage


def stage_of_branch(
    branch: str | None,
    user: str | None,
    rules: Rules,
    shared: frozenset[StageName],
    *,
    pull_request: bool = False,
) -> BranchStage:
    """The stage that a branch is deployed to.

    ``branch`` is None where none is checked out, ``user`` where nobody's name is known; ``shared`` are the names that no
    person's stage may have. ``pull_request``: what is checked out is proposed, not merged, and the branch's name is whatever its
    author (of a fork, too) chose: it may go to a personal stage, never to a shared one.
    """
    if not branch:
        return NoStage(
            "No branch is checked out (a detached HEAD, a tag, or no git checkout), so no stage follows from it. "
            "Name the stage with --stage, or the branch with --branch or STAGEKEEPER_BRANCH."
        )
    rule = rule_for(branch, rules)
    if rule is None:
        return NoStage(
            f"No rule says which stage branch {branch} goes to. Name the stage with --stage, or write a rule under branches in "
            f'stagekeeper.yaml, for instance {_pattern_like(branch)}: qa ("{PERSONAL}" instead of qa is the person\'s own stage).'
        )
    if rule.target == PERSONAL:
        return _personal_stage(branch, user, rule, shared)
    if not is_stage_name(rule.target):
        return NoStage(
            f"Branch {branch} goes to {rule.target} by the rule {rule.pattern}, and no stage can be called that: 1 to {_LONGEST} "
            f'letters, digits, hyphens and underscores, not all digits. Mend the rule in stagekeeper.yaml ("{PERSONAL}" is '
            "the person's own stage)."
        )
    if pull_request:
        return NoStage(
            f"This is a build of a pull request from branch {branch}, which goes to the shared stage {rule.target} by the rule "
            f"{rule.pattern}. What is not merged yet is not deployed there. Name the stage with --stage."
        )
    return Mapped(StageName(rule.target), personal=False, rule=rule.pattern)


def _personal_stage(branch: str, user: str | None, rule: Rule, shared: frozenset[StageName]) -> BranchStage:
    goes = f"Branch {branch} goes to the stage of the person at work by the rule {rule.pattern}"
    if user is None or not user.strip():
        return NoStage(f"{goes}, and nobody's name is known here. {_INSTEAD}")
    name = legal_name(user)
    if name is None:
        kind = "nothing but digits" if _folded(user) else "nothing"
        return NoStage(f"{goes}, and of the name {user} {kind} is left that a stage could be called. {_INSTEAD}")
    if is_shared(name, shared):
        return NoStage(f"{goes}, and the name {user} gives {name}, which is the name of a shared stage. {_INSTEAD}")
    return Mapped(name, personal=True, rule=rule.pattern)


def _pattern_like(branch: str) -> str:
    """What somebody would write for this branch and its like."""
    first, slash, _ = branch.partition("/")
    return f"{first}/*" if slash else branch


# Names.


def is_stage_name(text: str) -> bool:
    return re.fullmatch(STAGE_NAME, text) is not None


def legal_name(user: str) -> StageName | None:
    """The name of a person's own stage, from their user name or e-mail address; None if nothing is left of it.

    ``CORP\\Jane.Doe`` and ``jane.doe@example.com`` are jane-doe. What has no ASCII form becomes a hyphen.
    """
    name = _folded(user)
    return StageName(name) if is_stage_name(name) else None


def _folded(user: str) -> str:
    """Lower case, digits and single hyphens, not at the ends; at most as long as a stage's name may be."""
    name = user.rpartition("\\")[2]
    mailbox = name.partition("@")[0]
    if mailbox.strip():
        name = mailbox
    letters = "".join(sign for sign in unicodedata.normalize("NFKD", name) if not unicodedata.combining(sign))
    return re.sub(r"[^a-z0-9]+", "-", letters.casefold()).strip("-")[:_LONGEST].rstrip("-")


def is_shared(name: str, shared: Iterable[str]) -> bool:
    """Whether a name is a shared stage's, or would have the same stack (``Prod`` and ``prod``)."""
    return stack_slug(StageName(name)) in {stack_slug(StageName(each)) for each in shared}


def collision(stage: StageName, user: str, actors: Sequence[str], maker: str | None = None) -> str | None:
    """What to tell a person whose own stage is another person's too, as their names fold into one; None if it is nobody else's.

    ``actors`` are those who moved the stage, as its ledger has them, and ``maker`` who made it, None if that is not known. A
    colleague whose name gives another stage is no second owner: they named the stage. But one that they made is nobody's own.
    """
    if legal_name(user) != stage:
        return None
    if maker is not None and legal_name(maker) != stage:
        return (
            f"Stage {stage} was made by {maker.strip()}, so it is not the own stage of {user.strip()}, which would be called so. "
            f"Give another name with --user or STAGEKEEPER_USER, or --stage {stage} if this one is really meant."
        )
    for actor in actors:
        if legal_name(actor) == stage and _same(actor) != _same(user):
            return (
                f"Stage {stage} is the own stage of {actor.strip()}, who moved it, and of {user.strip()}: both names give it. "
                f"Give another name with --user or STAGEKEEPER_USER, or --stage {stage} if this one is really meant."
            )
    return None


def _same(user: str) -> str:
    return user.strip().casefold()


# What follows a deleted branch.


@dataclass(frozen=True, slots=True)
class StageSeen:
    """What the record says of a stage. ``last_branch`` and ``last_actor`` are its last movement's, None where it has none;
    ``maker`` is the actor of the one that made it, None where that is not known."""

    name: StageName
    protected: bool = False
    observed: bool = False
    last_branch: str | None = None
    last_actor: str | None = None
    maker: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a stage leaves with the deleted branch, and why (not)."""

    stage: StageName
    follows: bool
    reason: str


def stages_of_deleted_branch(
    branch: str, stages: Sequence[StageSeen], rules: Rules, shared: frozenset[StageName]
) -> list[Verdict]:
    """One verdict per stage. Only a personal stage follows, and only if its last movement came from that branch."""
    rule = rule_for(branch, rules)
    return [_verdict(branch, stage, rule, shared) for stage in stages]


def _verdict(branch: str, stage: StageSeen, rule: Rule | None, shared: frozenset[StageName]) -> Verdict:
    obstacle = _obstacle(branch, stage, rule, shared)
    if obstacle is not None:
        return Verdict(stage.name, False, obstacle)
    return Verdict(stage.name, True, f"{stage.name} is the own stage of {stage.last_actor}, and branch {branch} moved it last")


def _obstacle(branch: str, stage: StageSeen, rule: Rule | None, shared: frozenset[StageName]) -> str | None:
    if is_shared(stage.name, shared):
        return f"{stage.name} is a shared stage, and those never follow a branch"
    if stage.protected:
        return f"{stage.name} is protected"
    if stage.observed:
        return f"{stage.name} is only observed: a stack owns its aliases"
    if stage.last_branch != branch:
        return f"the last movement of {stage.name} came from {_from(stage.last_branch)}, not from branch {branch}"
    if rule is None or rule.target != PERSONAL:
        to = "no stage" if rule is None else f"stage {rule.target}"
        return f"branch {branch} goes to {to}, not to a personal stage"
    if stage.maker is not None and legal_name(stage.maker) != stage.name:
        return f"{stage.name} was made by {stage.maker}, so it is nobody's own stage"
    if stage.last_actor is None or legal_name(stage.last_actor) != stage.name:
        return f"{stage.name} is not the own stage of {stage.last_actor or 'anybody known'}, who moved it last"
    return None


def _from(branch: str | None) -> str:
    return "no branch" if branch is None else f"branch {branch}"
