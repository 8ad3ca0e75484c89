"""The project file: what it may say, and how every mistake in it is told: the place, the line, what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stagekeeper.cli.endings import CommandFailed
from stagekeeper.cli.project import Project, ProjectFunction, find, load, parse
from stagekeeper.domain.branches import Mapped, stage_of_branch
from stagekeeper.domain.model import LogicalName, ServiceName, StageName

PATH = Path("/checkout/stagekeeper.yaml")
LEAST = "service: shop\ntemplate: template.yaml\n"
FUNCTIONS = "service: shop\nfunctions:\n  api:\n    function_name: shop-api\n"
SECRET = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:payment-AbCdEf"
IMAGE = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/shop@sha256:" + "0" * 64

WHOLE = f"""
service: shop
stack: platform-stagekeeper
region: eu-central-1
template: infra/template.yaml
build: sam build --template-file "infra/template.yaml"
built_template: .aws-sam/build/template.yaml
parameters:
  LogLevel: info
  Size: "3"
branches:
  hotfix/*: qa
  spike/*: <user>
stages:
  dev:
    variables:
      LOG_LEVEL: debug
      PAYMENT_KEY: {{secret: "{SECRET}"}}
    parameters:
      LogLevel: debug
  <user>:
    variables: {{}}
  load_test: {{}}
"""


def said(text: str) -> list[str]:
    """The mistakes that are told of a file."""
    with pytest.raises(CommandFailed) as refused:
        parse(text, PATH)
    return list(refused.value.blockers) or [str(refused.value)]


# What is taken.


def test_the_least_that_a_file_says() -> None:
    template = Path("/checkout/template.yaml")

    assert parse(LEAST, PATH) == Project(PATH, ServiceName("shop"), template=template, built_template=template)


def test_everything_that_a_file_may_say_of_a_template() -> None:
    project = parse(WHOLE, PATH)

    assert (project.service, project.stack, project.region) == ("shop", "platform-stagekeeper", "eu-central-1")
    assert project.folder == Path("/checkout")
    assert project.template == Path("/checkout/infra/template.yaml")
    assert project.build == ("sam", "build", "--template-file", "infra/template.yaml")
    assert project.built_template == Path("/checkout/.aws-sam/build/template.yaml")
    assert project.functions is None


def test_everything_that_a_file_may_say_of_functions() -> None:
    text = f"""
service: shop
build: make zips
functions:
  api:
    function_name: shop-api
    code: build/api
    configuration:
      MemorySize: 512
      Environment: {{Variables: {{MODE: "fast"}}}}
  pdf:
    function_name: arn:aws:lambda:eu-central-1:111122223333:function:shop-pdf
    code:
      image_uri: {IMAGE}
      architectures: [arm64]
  web:
    function_name: shop-web
    code: {{image_uri: {IMAGE}}}
  old:
    function_name: shop-old
"""
    project = parse(text, PATH)

    assert project.template is None
    assert project.built_template is None
    assert project.functions == {
        LogicalName("api"): ProjectFunction(
            "shop-api",
            code=Path("/checkout/build/api"),
            configuration={"MemorySize": 512, "Environment": {"Variables": {"MODE": "fast"}}},
        ),
        LogicalName("pdf"): ProjectFunction(
            "arn:aws:lambda:eu-central-1:111122223333:function:shop-pdf",
            image={"image_uri": IMAGE, "architectures": ["arm64"]},
        ),
        LogicalName("web"): ProjectFunction("shop-web", image={"image_uri": IMAGE}),
        LogicalName("old"): ProjectFunction("shop-old"),
    }


def test_a_path_is_seen_from_the_files_folder_wherever_the_command_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "stagekeeper.yaml").write_text(LEAST)
    monkeypatch.chdir(tmp_path / "deep")

    assert load(Path("../stagekeeper.yaml")).folder.resolve() == tmp_path.resolve()
    assert load(Path("../stagekeeper.yaml")).folder.is_absolute()


@pytest.mark.parametrize(
    ("stage", "personal", "variables"),
    [
        pytest.param("dev", False, {"LOG_LEVEL": "debug", "PAYMENT_KEY": {"secret": SECRET}}, id="a stage's own"),
        pytest.param("jane", True, {}, id="every person's own: none at all"),
        pytest.param("jane", False, None, id="a stage of that name that nobody's branch led to"),
        pytest.param("load_test", False, None, id="a section without variables: they stay"),
        pytest.param("prod", False, None, id="no section: they stay"),
    ],
)
def test_the_variables_of_a_stage(stage: str, personal: bool, variables: dict[str, Any] | None) -> None:
    assert parse(WHOLE, PATH).variables_for(StageName(stage), personal=personal) == variables


@pytest.mark.parametrize(
    ("stage", "personal", "parameters"),
    [
        pytest.param("prod", False, {"LogLevel": "info", "Size": "3"}, id="the project's"),
        pytest.param("dev", False, {"LogLevel": "debug", "Size": "3"}, id="the stage's over the project's"),
        pytest.param("jane", True, {"LogLevel": "info", "Size": "3"}, id="a section without parameters"),
    ],
)
def test_the_parameters_of_a_stage(stage: str, personal: bool, parameters: dict[str, str]) -> None:
    assert parse(WHOLE, PATH).parameters_for(StageName(stage), personal=personal) == parameters


def test_a_persons_section_gives_parameters_to_their_own_stage_only() -> None:
    project = parse(LEAST + "stages: {<user>: {parameters: {Size: small}}}", PATH)

    assert project.parameters_for(StageName("jane"), personal=True) == {"Size": "small"}
    assert project.parameters_for(StageName("jane"), personal=False) == {}


def test_the_branch_rules_are_the_files_and_the_defaults() -> None:
    project = parse(WHOLE, PATH)

    for branch, stage in {"hotfix/1": "qa", "spike/1": "jane", "feature/1": "jane", "main": "prod"}.items():
        found = stage_of_branch(branch, "jane", project.rules, project.shared)
        assert isinstance(found, Mapped)
        assert found.stage == stage


def test_every_stage_that_the_file_names_is_shared() -> None:
    assert parse(WHOLE, PATH).shared == {"dev", "qa", "prod", "local", "load_test"}


@pytest.mark.parametrize("text", [WHOLE, FUNCTIONS], ids=["template", "functions"])
def test_a_part_may_be_repeated_by_a_yaml_anchor(text: str) -> None:
    shared = "stages: {a: &all {}, b: *all, c: {<<: *all}}\n"

    assert set(parse(text.split("stages:")[0] + shared, PATH).sections) == {"a", "b", "c"}


# Where it is found.


def test_the_file_is_found_here_or_above_up_to_the_root_of_the_checkout(tmp_path: Path) -> None:
    deep = tmp_path / "checkout" / "services" / "shop"
    deep.mkdir(parents=True)
    (tmp_path / "stagekeeper.yaml").write_text(LEAST)
    assert find(deep) == tmp_path / "stagekeeper.yaml"

    # A worktree or submodule has a file of that name.
    (tmp_path / "checkout" / ".git").write_text("gitdir: elsewhere")
    assert find(deep) is None

    (tmp_path / "checkout" / "stagekeeper.yaml").write_text(LEAST)
    assert find(deep) == tmp_path / "checkout" / "stagekeeper.yaml"

    (deep / "stagekeeper.yaml").write_text(LEAST)
    assert find(deep) == deep / "stagekeeper.yaml"


def test_the_search_ends_at_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    (home / "work").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    (tmp_path / "stagekeeper.yaml").write_text(LEAST)
    assert find(home / "work") is None

    (home / "stagekeeper.yaml").write_text(LEAST)
    assert find(home / "work") == home / "stagekeeper.yaml"


def test_a_file_that_is_not_there_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="stagekeeper init"):
        load(tmp_path / "stagekeeper.yaml")


def test_a_file_that_is_not_utf8_is_told(tmp_path: Path) -> None:
    (tmp_path / "stagekeeper.yaml").write_bytes(b"service: caf\xe9\n")
    with pytest.raises(CommandFailed, match="not UTF-8 at its byte 12"):
        load(tmp_path / "stagekeeper.yaml")


def test_a_folder_is_no_project_file(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="could not be read"):
        load(tmp_path)


# What is refused, by the fields.


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        pytest.param("template: t.yaml\n", None, "service: is missing", id="no service"),
        pytest.param("service: Shop\ntemplate: t\n", 1, "service: a service name begins with a lower-case letter", id="service"),
        pytest.param("service: shop\n", None, "give either template or functions", id="neither template nor functions"),
        pytest.param(LEAST + "functions: {a: {function_name: a}}\n", None, "give either template or functions", id="both"),
        pytest.param(LEAST + "bogus: 1\n", 3, "bogus: unknown field", id="an unknown field"),
        pytest.param(LEAST + "stack: 1st\n", 3, "stack: a stack's name begins with a letter", id="stack"),
        pytest.param(LEAST + "region: Frankfurt\n", 3, "region: a Region is spelled as AWS does", id="region"),
        pytest.param(LEAST + "region: 12\n", 3, "region: must be text; put it into quotes", id="a number for text"),
        pytest.param(LEAST + "region:\n", 3, "region: has no value", id="null"),
        pytest.param(LEAST + "stages:\n  dev: ~\n", 4, "stages.dev: has no value", id="null within"),
        pytest.param(LEAST + "parameters: 3\n", 3, "parameters: must be a mapping", id="no mapping"),
        pytest.param(LEAST + "parameters: [a]\n", 3, "parameters: must be a mapping", id="a list for a mapping"),
        pytest.param(LEAST + "parameters:\n  Size: 3\n", 4, "parameters.Size: must be text; put it into quotes", id="a number"),
        pytest.param(LEAST + "parameters:\n  Debug: on\n", 4, "parameters.Debug: must be text", id="what YAML takes for true"),
        pytest.param(LEAST + "parameters:\n  log-level: x\n", 4, "parameters.log-level: a parameter's name", id="its name"),
        pytest.param(
            LEAST + "parameters:\n  StagekeeperStage: x\n", 4, "parameters.StagekeeperStage: Stagekeeper fills", id="a filled one"
        ),
        pytest.param(LEAST + "branches:\n  main: 2026\n", 4, "branches.main: must be text", id="a number for a stage"),
        pytest.param(LEAST + "branches:\n  main: '2026'\n", 4, "branches.main: a stage has 1 to 63", id="an all-digit stage"),
        pytest.param(LEAST + "branches:\n  main: <me>\n", 4, "branches.main: a stage has 1 to 63", id="not quite <user>"),
        pytest.param(LEAST + "branches:\n  '': dev\n", 4, "branches.: must have at least 1", id="an empty pattern"),
        pytest.param(LEAST + "stages:\n  12: {}\n", 4, "stages.12: a stage has 1 to 63", id="an all-digit section"),
        pytest.param(LEAST + "stages:\n  dev:\n    vars: {}\n", 5, "stages.dev.vars: unknown field", id="unknown, of a stage"),
        pytest.param(
            LEAST + "stages:\n  dev:\n    variables:\n      A: {secret: x}\n",
            6,
            "stages.dev.variables.A.secret: secret is the ARN",
            id="a secret",
        ),
        pytest.param(
            LEAST + "stages:\n  dev:\n    variables:\n      1A: x\n",
            6,
            "stages.dev.variables.1A: a variable's name",
            id="variable",
        ),
        pytest.param(FUNCTIONS + "    code: 3\n", 5, "functions.api.code: must be text", id="code"),
        pytest.param(FUNCTIONS + "    code: {}\n", 5, "functions.api.code.image_uri: is missing", id="code without an image"),
        pytest.param(
            FUNCTIONS + "    code: {image_uri: shop:latest}\n", 5, "functions.api.code.image_uri: ", id="an image without digest"
        ),
        pytest.param(
            FUNCTIONS + "    configuration:\n      Environment: {Variables: {A1: 3}}\n",
            6,
            "functions.api.configuration.Environment.Variables.A1: must be text",
            id="an environment variable",
        ),
        pytest.param(
            FUNCTIONS + "    configuration:\n      KMSKeyArn: x\n",
            6,
            "functions.api.configuration.KMSKeyArn: cannot be given",
            id="a withheld member",
        ),
        pytest.param(
            FUNCTIONS + "  a/b: {function_name: x}\n", 5, "functions.a/b: a function's logical name", id="a logical name"
        ),
        pytest.param(
            "service: shop\nfunctions:\n  a: {function_name: 'a:live'}\n",
            3,
            "without a version or alias",
            id="an alias behind it",
        ),
        pytest.param("service: shop\nfunctions: {}\n", 2, "functions: must have at least 1", id="no function"),
        pytest.param(FUNCTIONS + "built_template: x\n", 5, "built_template: goes with template", id="a template's field"),
        pytest.param(FUNCTIONS + "parameters: {}\n", 5, "parameters: goes with template", id="parameters without template"),
        pytest.param(
            FUNCTIONS + "stages:\n  dev:\n    variables: {}\n", 7, "stages.dev.variables: goes with template", id="variables too"
        ),
    ],
)
def test_a_mistake_is_told_with_its_place_and_line(text: str, line: int | None, words: str) -> None:
    (told,) = said(text)

    assert words in told
    assert told.startswith(f"{PATH}: " if line is None else f"{PATH}, line {line}: ")


def test_code_in_s3_is_no_code_of_a_checkout() -> None:
    told = said(FUNCTIONS + "    code: {s3_bucket: b, s3_key: k}\n")

    assert "line 5: functions.api.code.s3_key: unknown field; code is a folder, a zip, or image_uri" in "\n".join(told)


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file() -> None:
    text = "service: shop\nbogus: 1\nbranches:\n  main: '12'\nregion: here\ntemplate: t\n"
    with pytest.raises(CommandFailed) as refused:
        parse(text, PATH)

    assert str(refused.value) == f"{PATH} has 3 mistakes:"
    assert [told.split(":")[0] for told in refused.value.blockers] == ["line 2", "line 4", "line 5"]


def test_no_value_is_told_again() -> None:
    """It may be somebody's secret, in the wrong place."""
    told = said(FUNCTIONS + "    configuration: {Environment: {Variables: {A-B: hunter2}}, Runtime: 12345678}\n")

    assert len(told) == 2
    assert not [line for line in told if "hunter2" in line or "12345678" in line]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("sam build && make", "&& means something"),
        ("sam build; make", "; means something"),
        ("sam build > log", "> means something"),
        ("make 2>&1", ">& means something"),
        ("make # && more", "&& means something"),
        ("make $TARGET", "$TARGET means something"),
        ("make $(cat target)", "means something"),
        ("MODE=fast make", "Write `env` before the variable"),
        ("sam build 'x", "a quotation mark is not closed"),
        ("   ", "is empty"),
    ],
)
def test_a_build_that_needs_a_shell_is_refused(command: str, words: str) -> None:
    (told,) = said(LEAST + f"build: {json.dumps(command)}\n")

    assert words in told
    assert told.startswith(f"{PATH}, line 3: build: ")


@pytest.mark.parametrize(
    ("command", "build"),
    [
        ("env MODE=fast make zips", ("env", "MODE=fast", "make", "zips")),
        ("make A=1 'a b;c' \"it's\"", ("make", "A=1", "a b;c", "it's")),
        ("make price=5$ #1", ("make", "price=5$", "#1")),
    ],
)
def test_a_build_is_a_programs_words(command: str, build: tuple[str, ...]) -> None:
    assert parse(LEAST + f"build: {json.dumps(command)}\n", PATH).build == build


# What is refused, as YAML.


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        pytest.param("", None, "it is empty", id="empty"),
        pytest.param("# only a comment\n", None, "it is empty", id="a comment"),
        pytest.param("shop\n", 1, "it is no mapping", id="a word"),
        pytest.param("- shop\n", 1, "it is no mapping", id="a list"),
        pytest.param("service: a\ntemplate: t\nservice: b\n", 3, "service stands twice, in lines 1 and 3", id="a key twice"),
        pytest.param(
            LEAST + "stages:\n  dev: {}\n  dev: {}\n", 5, "stages.dev stands twice, in lines 4 and 5", id="a key twice within"
        ),
        pytest.param("service: [a\n", 2, "Mend this line, or the one before it", id="no end"),
        pytest.param("service: a: b\n", 1, "Mend this line, or the one before it", id="a colon"),
        pytest.param(LEAST + "branches:\n  *: dev\n", 4, "What begins with * or & must stand in quotes", id="a bare asterisk"),
        pytest.param(LEAST + "region: !Ref Region\n", 3, "!Ref", id="an application's tag"),
        pytest.param(LEAST + "region: !!python/object/apply:os.getcwd []\n", 3, "python/object", id="Python's own tag"),
        pytest.param(LEAST + "region: !!int here\n", None, "without a tag", id="a tag that lies"),
        pytest.param(LEAST + "region: !!bool here\n", None, "without a tag", id="another"),
        pytest.param(LEAST + "---\n" + LEAST, 3, "single document", id="two documents"),
        pytest.param("service: a\nregion: \x07\n", 2, "a character that YAML does not allow", id="a control character"),
        pytest.param("? [a]\n: b\n", 1, "a key is no text", id="a list for a key"),
        pytest.param("a: &a [*a]\n", 1, "nested too deeply", id="a part of itself"),
        pytest.param("a: " + "[" * 60 + "]" * 60, 1, "nested too deeply", id="deep"),
    ],
)
def test_what_is_no_plain_yaml_is_told(text: str, line: int | None, words: str) -> None:
    (told,) = said(text)

    assert words in told
    assert told.startswith(f"{PATH}: " if line is None else f"{PATH}, line {line}: ")


def test_aliases_that_make_a_small_file_large_are_refused() -> None:
    text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)
    )

    assert "too large" in said(text)[0]


def test_dates_and_keys_are_text_whatever_yaml_makes_of_them() -> None:
    project = parse(LEAST + "parameters: {Since: 2026-01-01, 12: '12'}\nstages: {on: {}}\n", PATH)

    assert project.parameters == {"Since": "2026-01-01", "12": "12"}
    assert set(project.sections) == {"on"}
