"""`stagekeeper init`: a project file from the SAM template and samconfig.toml that a checkout has, and what is warned of."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stagekeeper.cli.endings import CommandFailed
from stagekeeper.cli.initial import Proposal, propose, text_of, write
from stagekeeper.cli.project import load, parse
from stagekeeper.domain.branches import DEFAULT_RULES, Rule
from tests.unit.pages import ROOT

FUNCTION = """
  Api:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: src/
      Handler: app.handler
      Runtime: python3.13
      Environment:
        Variables:
          TABLE: !Ref Table
          URL: !Sub "https://${Api}"
"""
TEMPLATE = f"Transform: AWS::Serverless-2016-10-31\nResources:{FUNCTION}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "my-shop"
    made.mkdir()
    return made


def proposed(folder: Path, template: str = TEMPLATE, samconfig: str = "", name: str = "template.yaml") -> Proposal:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(template)
    if samconfig:
        (folder / "samconfig.toml").write_text(f"version = 0.1\n{samconfig}")
    return propose(folder)


def with_parameters(*declared: str) -> str:
    return "Parameters:\n" + "".join(f"  {each}\n" for each in declared) + TEMPLATE


# What is proposed.


def test_a_sam_template_alone(folder: Path) -> None:
    assert proposed(folder) == Proposal(
        service="my-shop", template="template.yaml", build="sam build", built_template=".aws-sam/build/template.yaml"
    )


@pytest.mark.parametrize("example", ["shop", "orders"])
def test_the_examples(example: str, tmp_path: Path) -> None:
    found = propose(ROOT / "examples" / example)
    write(found, tmp_path / "stagekeeper.yaml")

    assert (found.service, found.build, found.missing, found.warnings) == (example, "sam build", (), ())
    assert load(tmp_path / "stagekeeper.yaml").service == example


@pytest.mark.parametrize("name", ["template.yaml", "template.yml", "template.json"])
def test_the_templates_that_sam_looks_for(folder: Path, name: str) -> None:
    template = json.dumps({"Resources": {"Api": {"Type": "AWS::Lambda::Function"}}}) if name.endswith("json") else TEMPLATE

    assert proposed(folder, template, name=name).template == name


@pytest.mark.parametrize(
    ("samconfig", "template", "build"),
    [
        pytest.param(
            '[default.global.parameters]\ntemplate_file = "infra/sam.yaml"\n', "infra/sam.yaml", "sam build", id="of all commands"
        ),
        pytest.param(
            '[default.build.parameters]\ntemplate = "infra/sam.yaml"\n', "infra/sam.yaml", "sam build", id="of the build"
        ),
        pytest.param(
            '[default.deploy.parameters]\ntemplate_file = "infra/sam.yaml"\n',
            *("infra/sam.yaml", "sam build --template-file infra/sam.yaml"),
            id="of the deploy: the build has to be told",
        ),
    ],
)
def test_the_template_that_samconfig_names(folder: Path, samconfig: str, template: str, build: str) -> None:
    found = proposed(folder, samconfig=samconfig, name="infra/sam.yaml")

    assert (found.template, found.build) == (template, build)


def test_a_built_template_is_not_the_source(folder: Path) -> None:
    built = folder / ".aws-sam/build"
    built.mkdir(parents=True)
    (built / "template.yaml").write_text(TEMPLATE)
    found = proposed(folder, samconfig='[default.deploy.parameters]\ntemplate_file = ".aws-sam/build/template.yaml"\n')

    assert found.template == "template.yaml"

    (folder / "template.yaml").unlink()
    with pytest.raises(CommandFailed, match="no SAM or CloudFormation template"):
        propose(folder)


def test_a_packaged_template_that_samconfig_deploys_comes_last(folder: Path) -> None:
    (folder / "packaged.yaml").write_text(TEMPLATE)

    assert (
        proposed(folder, samconfig='[default.deploy.parameters]\ntemplate_file = "packaged.yaml"\n').template == "template.yaml"
    )


def test_a_template_that_samconfig_names_comes_before_the_usual_ones(folder: Path) -> None:
    (folder / "other.yaml").write_text(TEMPLATE)

    assert proposed(folder, samconfig='[default.build.parameters]\ntemplate_file = "other.yaml"\n').template == "other.yaml"


def test_the_folder_that_samconfig_builds_in(folder: Path) -> None:
    found = proposed(folder, samconfig='[default.build.parameters]\nbuild_dir = "out/"\n')

    assert found.built_template == "out/template.yaml"


@pytest.mark.parametrize(
    "code",
    ["InlineCode: 'def handler(*_): pass'", "CodeUri: s3://bucket/key.zip", "CodeUri: {Bucket: b, Key: k}"],
    ids=["inline", "in S3", "in S3, as a mapping"],
)
def test_nothing_is_built_where_no_code_is_local(folder: Path, code: str) -> None:
    found = proposed(folder, TEMPLATE.replace("CodeUri: src/", code))

    assert (found.build, found.built_template) == (None, None)


def test_code_that_globals_name_is_built(folder: Path) -> None:
    template = f"Globals: {{Function: {{CodeUri: src/}}}}\n{TEMPLATE.replace('CodeUri: src/', 'Description: x')}"

    assert proposed(folder, template).build == "sam build"


def test_inline_code_comes_before_that_of_globals(folder: Path) -> None:
    template = f"Globals: {{Function: {{CodeUri: src/}}}}\n{TEMPLATE.replace('CodeUri: src/', 'InlineCode: x')}"

    assert proposed(folder, template).build is None


def test_a_layer_is_built(folder: Path) -> None:
    layer = "  Tools: {Type: 'AWS::Serverless::LayerVersion', Properties: {ContentUri: layer/}}\n"

    assert proposed(folder, f"Resources:\n{layer}").build == "sam build"


@pytest.mark.parametrize(
    ("stack", "folder_name", "service"),
    [
        ("shop", "x", "shop"),
        ("My_Shop", "x", "my-shop"),
        ("shop--v2-", "x", "shop-v2"),
        ("2nd-shop", "x", "nd-shop"),
        ("a" * 70, "x", "a" * 63),
        ("a" * 62 + "-b", "x", "a" * 62),
        ("", "The Shop", "the-shop"),
        ("", "2026", "service"),
    ],
)
def test_the_services_name(tmp_path: Path, stack: str, folder_name: str, service: str) -> None:
    (tmp_path / folder_name).mkdir()
    samconfig = f'[default.deploy.parameters]\nstack_name = "{stack}"\n' if stack else ""

    assert proposed(tmp_path / folder_name, samconfig=samconfig).service == service


@given(st.text(max_size=80))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_the_stack_is_called_the_file_loads(tmp_path: Path, stack: str) -> None:
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    (tmp_path / "samconfig.toml").write_text(f"[default.deploy.parameters]\nstack_name = {json.dumps(stack)}\n")
    try:
        found = propose(tmp_path)
    except CommandFailed as trouble:
        # What JSON may escape and TOML may not.
        assert "samconfig.toml does not parse" in str(trouble)  # noqa: PT017
    else:
        assert parse(text_of(found), tmp_path / "stagekeeper.yaml").service == found.service


def test_a_commands_own_parameters_come_before_those_of_all(folder: Path) -> None:
    samconfig = (
        '[default.global.parameters]\nstack_name = "a"\nregion = "eu-west-1"\n[default.deploy.parameters]\nstack_name = "b"\n'
    )
    found = proposed(folder, samconfig=samconfig)

    assert (found.service, found.region) == ("b", "eu-west-1")


def test_other_environments_than_the_default_are_left_alone(folder: Path) -> None:
    assert (
        proposed(folder, samconfig='[prod.deploy.parameters]\nstack_name = "prod"\nregion = "eu-west-1"\n').service == "my-shop"
    )


# Parameters.


@pytest.mark.parametrize(
    "given",
    [
        '"Level=debug Title=\\"two words\\""',
        "\"ParameterKey=Level,ParameterValue=debug ParameterKey=Title,ParameterValue='two words'\"",
        '["Level=debug", "Title=\\"two words\\""]',
        '{Level = "debug", Title = "two words"}',
    ],
    ids=["text", "the old form", "a list", "a table"],
)
def test_every_form_of_parameters_is_taken_over(folder: Path, given: str) -> None:
    template = with_parameters("Level: {Type: String}", "Title: {Type: String}", "Other: {Type: String, Default: x}")
    found = proposed(folder, template, f"[default.deploy.parameters]\nparameter_overrides = {given}\n")

    assert found.parameters == {"Level": "debug", "Title": "two words"}
    assert found.warnings == ()


def test_what_a_table_holds_becomes_text(folder: Path) -> None:
    template = with_parameters("Size: {Type: Number}", "Debug: {Type: String}", "Zones: {Type: CommaDelimitedList}")
    table = '{Size = 3, Debug = true, Zones = ["a", "b"]}'

    assert proposed(folder, template, f"[default.deploy.parameters]\nparameter_overrides = {table}\n").parameters == {
        "Size": "3",
        "Debug": "true",
        "Zones": "a,b",
    }


def test_a_quotation_mark_that_is_never_closed_is_part_of_the_value(folder: Path) -> None:
    found = proposed(
        folder, with_parameters("Name: {Type: String}"), '[default.deploy.parameters]\nparameter_overrides = "Name=O\'Brien"\n'
    )
    assert found.parameters == {"Name": "O'Brien"}


@pytest.mark.parametrize(
    ("override", "warning"),
    [
        ("StagekeeperStage=dev", "StagekeeperStage is left out: Stagekeeper fills it"),
        ("Password=hunter2", "Password is left out: it has NoEcho"),
        ("Gone=x", "Gone of samconfig.toml is left out: the template does not declare it"),
    ],
)
def test_what_is_not_taken_over_is_said(folder: Path, override: str, warning: str) -> None:
    template = with_parameters(
        "StagekeeperStage: {Type: String, Default: local}", "Password: {Type: String, NoEcho: true, Default: x}"
    )
    found = proposed(folder, template, f'[default.deploy.parameters]\nparameter_overrides = "{override}"\n')

    assert found.parameters == {}
    (told,) = found.warnings
    assert warning in told
    assert "hunter2" not in text_of(found) + told


def test_a_reference_to_a_secret_is_taken_over(folder: Path) -> None:
    reference = "{{resolve:secretsmanager:shop:SecretString:password}}"
    template = with_parameters("Password: {Type: String, NoEcho: true}")
    found = proposed(folder, template, f'[default.deploy.parameters]\nparameter_overrides = "Password={reference}"\n')

    assert found.parameters == {"Password": reference}
    assert parse(text_of(found), folder / "stagekeeper.yaml").parameters == found.parameters


def test_a_parameter_without_a_value_is_told_and_stands_in_the_file(folder: Path) -> None:
    found = proposed(folder, with_parameters("Domain: {Type: String}", "Level: {Type: String, Default: info}"))

    assert found.missing == ("Domain",)
    assert "Parameter Domain has no Default and no value yet" in found.warnings[0]
    assert "Domain: has no Default" in text_of(found)


def test_parameters_that_lie_in_a_file_are_told(folder: Path) -> None:
    found = proposed(folder, samconfig='[default.deploy.parameters]\nparameter_overrides = "file://dev.yaml"\n')

    assert "file://dev.yaml" in found.warnings[0]


# What will be refused.


@pytest.mark.parametrize(
    ("more", "line", "words"),
    [
        pytest.param("      AutoPublishAlias: live\n", 13, "Api says AutoPublishAlias", id="AutoPublishAlias"),
        pytest.param(
            "      DeploymentPreference: {Type: AllAtOnce}\n", 13, "Api says DeploymentPreference", id="DeploymentPreference"
        ),
        pytest.param(
            "      ProvisionedConcurrencyConfig: {ProvisionedConcurrentExecutions: 1}\n",
            13,
            "Api says Provisioned",
            id="provisioned",
        ),
        pytest.param("  Live: {Type: 'AWS::Lambda::Alias'}\n", 13, "Live is an AWS::Lambda::Alias", id="an alias"),
        pytest.param("  One: {Type: 'AWS::Lambda::Version'}\n", 13, "One is an AWS::Lambda::Version", id="a version"),
    ],
)
def test_what_owns_aliases_is_told_with_its_line_and_how_to_let_go_of_it(folder: Path, more: str, line: int, words: str) -> None:
    found = proposed(folder, TEMPLATE + more)

    assert f"template.yaml: line {line}: {words}" in found.warnings[0]
    assert "docs/adopting.md" in found.warnings[1]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        pytest.param("    Metadata: {Dockerfile: Dockerfile}\n", "Api is an image that `sam build` makes here", id="an image"),
        pytest.param(
            "  Sub: {Type: 'AWS::Serverless::Application', Properties: {Location: sub.yaml}}\n",
            "Sub is a nested stack",
            id="nested",
        ),
        pytest.param(
            "  Sub: {Type: 'AWS::CloudFormation::Stack', Properties: {TemplateURL: ./sub.yaml}}\n",
            "Sub is a nested",
            id="a stack",
        ),
        pytest.param("  Odd: {Type: 'A::B::C', 'Fn::Transform': {Name: Mine}}\n", "Fn::Transform", id="a macro"),
    ],
)
def test_what_else_will_not_go_is_told(folder: Path, more: str, words: str) -> None:
    found = proposed(folder, TEMPLATE + more)

    assert words in found.warnings[0]


def test_a_nested_stack_in_s3_is_no_trouble(folder: Path) -> None:
    more = "  Sub: {Type: 'AWS::CloudFormation::Stack', Properties: {TemplateURL: 'https://s3.amazonaws.com/b/t.yaml'}}\n"

    assert proposed(folder, TEMPLATE + more).warnings == ()


def test_a_stack_of_the_services_name_may_be_there_already(folder: Path) -> None:
    found = proposed(folder, samconfig='[default.deploy.parameters]\nstack_name = "shop"\n')

    assert "choose another service" in found.warnings[0]


# What cannot be begun with.


def test_a_folder_without_a_template(folder: Path) -> None:
    with pytest.raises(CommandFailed, match=r"no SAM or CloudFormation template in .*my-shop"):
        propose(folder)


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("Resources: [", "does not parse"),
        ("", "The template is empty"),
        ("Resources: {A: {}, A: {}}", "stands twice"),
        ("- a", "needs a section Resources"),
    ],
)
def test_a_template_that_cannot_be_read(folder: Path, template: str, words: str) -> None:
    with pytest.raises(CommandFailed, match=words):
        proposed(folder, template)


def test_a_samconfig_that_cannot_be_read(folder: Path) -> None:
    with pytest.raises(CommandFailed, match=r"samconfig\.toml does not parse"):
        proposed(folder, samconfig="[default")


@pytest.mark.parametrize(
    "samconfig",
    ["default = 1\n", "[default]\ndeploy = 1\n", "[default.deploy.parameters]\nstack_name = 1\nregion = 1\ntemplate_file = 1\n"],
)
def test_a_samconfig_of_another_shape_says_nothing(folder: Path, samconfig: str) -> None:
    found = proposed(folder, samconfig=samconfig)

    assert (found.service, found.region, found.template) == ("my-shop", None, "template.yaml")


# What is written.


def test_what_is_written_loads_and_says_what_was_proposed(folder: Path) -> None:
    proposal = Proposal(
        service="shop",
        template="infra/template.yaml",
        build="sam build --template-file infra/template.yaml",
        built_template=".aws-sam/build/template.yaml",
        region="eu-central-1",
        stack="platform",
        parameters={"Level": "info", "Size": "3", "Debug": "yes", "Empty": "", "Odd": "a: b # c", "Two": "1\n2"},
        missing=("Domain",),
    )
    write(proposal, folder / "stagekeeper.yaml")
    project = load(folder / "stagekeeper.yaml")

    assert (project.service, project.stack, project.region) == ("shop", "platform", "eu-central-1")
    assert project.build == ("sam", "build", "--template-file", "infra/template.yaml")
    assert project.template == folder / "infra/template.yaml"
    assert project.built_template == folder / ".aws-sam/build/template.yaml"
    assert project.parameters == proposal.parameters


@given(st.dictionaries(st.sampled_from(["Level", "Size"]), st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=40)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_value_is_written_as_what_it_is(folder: Path, values: dict[str, str]) -> None:
    text = text_of(Proposal("shop", "template.yaml", parameters=values))

    assert parse(text, folder / "stagekeeper.yaml").parameters == values


def test_a_long_value_stays_on_its_line(folder: Path) -> None:
    value = "a: b, " * 40
    text = text_of(Proposal("shop", "template.yaml", parameters={"Level": value}))

    assert parse(text, folder / "stagekeeper.yaml").parameters == {"Level": value}
    assert f'  Level: "{value}"' in text.splitlines()


def test_the_defaults_of_branches_are_written_out_and_hotfixes_are_left_open(folder: Path) -> None:
    text = text_of(Proposal("shop", "template.yaml"))

    written = parse(text, folder / "stagekeeper.yaml").rules
    assert written == tuple(Rule(rule.pattern, rule.target, own=True) for rule in DEFAULT_RULES)
    assert "# hotfix/*: qa" in text


def test_what_stands_there_as_an_example_is_right(folder: Path) -> None:
    """With every comment that is a field made one."""
    text = text_of(Proposal("shop", "template.yaml"))
    fields = [line.removeprefix("# ") if ": " in line or line.endswith(":") else "" for line in text.splitlines()]
    plain = "\n".join(line.replace("  # hotfix", "  hotfix") for line in fields if not line[:1].isupper())
    project = parse(plain, folder / "stagekeeper.yaml")

    assert (project.stack, project.region, project.build) == ("stagekeeper", "eu-central-1", ("sam", "build"))
    assert project.parameters == {"LogLevel": "info"}
    assert project.branches["hotfix/*"] == "qa"
    assert set(project.sections) == {"dev", "<user>"}


def test_a_file_that_is_there_is_not_written_over_unless_that_is_said(folder: Path) -> None:
    path = folder / "stagekeeper.yaml"
    path.write_text("mine")
    with pytest.raises(CommandFailed, match="--force"):
        write(Proposal("shop", "template.yaml"), path)
    assert path.read_text() == "mine"

    write(Proposal("shop", "template.yaml"), path, force=True)
    assert load(path).service == "shop"


def test_nothing_is_written_that_would_not_load(folder: Path) -> None:
    with pytest.raises(CommandFailed, match="region"):
        write(Proposal("shop", "template.yaml", region="Frankfurt"), folder / "stagekeeper.yaml")

    assert not (folder / "stagekeeper.yaml").exists()
