"""A checkout packaged without any AWS: the same content makes the same keys, the control plane takes what comes out, and what
cannot be packaged is refused with its line."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from stagekeeper.domain.split_model import Source
from stagekeeper.handlers.request_forms import FUNCTIONS, Template
from stagekeeper.packaging.archive import zip_folder
from stagekeeper.packaging.artifact import Artifact
from stagekeeper.packaging.errors import PackagingFailed
from stagekeeper.packaging.folder import Folder, folder_of
from stagekeeper.packaging.package import Packaged, package_functions, package_template
from stagekeeper.template.read import read
from tests.unit.template.splitting import expanded, halves

from .folders import entries

ROOT = Path(__file__).resolve().parents[3]
BUCKET = "artifacts"
SAM = "Transform: AWS::Serverless-2016-10-31\n"

Package = Callable[[Path], Packaged]


def scratch(tmp_path: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=tmp_path))


@pytest.fixture
def package(tmp_path: Path) -> Package:
    return lambda template: package_template(template, service="shop", bucket=BUCKET, scratch=scratch(tmp_path))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with some code, a definition, and no template yet."""
    folder = tmp_path / "project"
    for name, text in {
        "src/app.py": "def handler(event, context): ...\n",
        "lib/python/one.py": "ONE = 1\n",
        "machine.asl.json": '{"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}}\n',
        "api.yaml": "openapi: 3.0.1\n",
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def write(folder: Path, text: str, name: str = "template.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def text_of(packaged: Packaged) -> str:
    return packaged.document.source.path.read_text(encoding="utf-8")


def by_suffix(packaged: Packaged, suffix: str) -> list[Artifact]:
    return [each for each in packaged.artifacts if each.key.endswith(suffix)]


def names(one: Artifact) -> set[str]:
    """Of the files that its zip would have."""
    assert isinstance(one.source, Folder)
    zipped = io.BytesIO()
    zip_folder(one.source, zipped, lambda _: None)
    return set(entries(zipped))


# The examples.


@pytest.mark.parametrize("example", ["shop", "orders"])
def test_an_example_is_its_code_once_and_its_template(example: str, package: Package) -> None:
    folder = ROOT / "examples" / example

    packaged = package(folder / "template.yaml")

    code, document = packaged.artifacts
    assert names(code) == {path.name for path in (folder / "src").iterdir() if path.is_file()}
    assert code.key == f"code/shop/{folder_of(folder / 'src').identity.hex()}.zip"
    assert document.key == f"code/shop/{hashlib.sha256(text_of(packaged).encode()).hexdigest()}.yaml"
    assert document == packaged.document
    assert Template.model_validate(packaged.place) == Template(s3_bucket=BUCKET, s3_key=document.key)


@pytest.mark.parametrize(("example", "count"), [("shop", 3), ("orders", 4)])
def test_after_sams_transform_all_its_functions_have_that_code(example: str, count: int, package: Package) -> None:
    packaged = package(ROOT / "examples" / example / "template.yaml")

    resources = expanded(text_of(packaged)).body["Resources"].values()

    codes = [resource["Properties"]["Code"] for resource in resources if resource["Type"] == "AWS::Lambda::Function"]
    assert codes == [{"S3Bucket": BUCKET, "S3Key": packaged.artifacts[0].key}] * count


def test_the_control_plane_can_split_the_example_that_is_for_it(package: Package) -> None:
    packaged = package(ROOT / "examples" / "shop" / "template.yaml")

    assert set(halves(text_of(packaged)).functions) == {"Orders", "Worker", "Report"}


@pytest.mark.parametrize("example", ["shop", "orders"])
def test_every_line_of_the_template_stays_where_it_is(example: str, package: Package) -> None:
    template = ROOT / "examples" / example / "template.yaml"
    old, new = read(template.read_text(encoding="utf-8")), read(text_of(package(template)))

    assert isinstance(old, Source)
    assert isinstance(new, Source)
    assert new.lines == old.lines


@pytest.mark.parametrize("example", ["shop", "orders"])
def test_another_checkout_at_another_time_gives_the_same_keys(example: str, package: Package, tmp_path: Path) -> None:
    copied = tmp_path / "elsewhere" / "checkout"
    shutil.copytree(ROOT / "examples" / example, copied, ignore=shutil.ignore_patterns("__pycache__", ".aws-sam"))
    for path in copied.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))

    one, other = package(ROOT / "examples" / example / "template.yaml"), package(copied / "template.yaml")

    assert [each.key for each in one.artifacts] == [each.key for each in other.artifacts]


def test_a_checkout_with_other_line_ends_gives_the_same_template(package: Package, project: Path) -> None:
    text = SAM + "Resources:\n  F:\n    Type: AWS::Serverless::Function\n    Properties:\n      CodeUri: src/\n"
    unix, windows = write(project, text), project / "windows.yaml"
    windows.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())

    assert package(unix).document.key == package(windows).document.key


# Every way to point at something.

ALL_FORMS = (
    SAM
    + """
Resources:
  F:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: src/, Handler: app.handler, Runtime: python3.13, Layers: [!Ref L]}
  L:
    Type: AWS::Serverless::LayerVersion
    Properties: {ContentUri: lib/}
  M:
    Type: AWS::Serverless::StateMachine
    Properties:
      DefinitionUri: machine.asl.json
      Role: arn:aws:iam::123456789012:role/r
      DefinitionSubstitutions: {F: !GetAtt F.Arn}
  A:
    Type: AWS::Serverless::Api
    Properties: {StageName: x, DefinitionUri: api.yaml}
  H:
    Type: AWS::Serverless::HttpApi
    Properties: {DefinitionUri: api.yaml}
  PlainF:
    Type: AWS::Lambda::Function
    Properties: {Code: src/, Handler: app.handler, Runtime: python3.13, Role: arn:aws:iam::123456789012:role/r}
  PlainL:
    Type: AWS::Lambda::LayerVersion
    Properties: {Content: lib/}
  PlainM:
    Type: AWS::StepFunctions::StateMachine
    Properties: {DefinitionS3Location: machine.asl.json, RoleArn: arn:aws:iam::123456789012:role/r}
  PlainA:
    Type: AWS::ApiGateway::RestApi
    Properties: {BodyS3Location: api.yaml}
  PlainH:
    Type: AWS::ApiGatewayV2::Api
    Properties: {BodyS3Location: api.yaml}
"""
)


@pytest.fixture
def all_forms(package: Package, project: Path) -> Packaged:
    return package(write(project, ALL_FORMS))


def test_what_is_pointed_at_more_than_once_is_there_once(all_forms: Packaged) -> None:
    assert [each.key.rpartition(".")[2] for each in all_forms.artifacts] == ["zip", "zip", "json", "yaml", "yaml"]
    assert [names(each) for each in by_suffix(all_forms, ".zip")] == [{"app.py"}, {"python/one.py"}]
    (machine,) = by_suffix(all_forms, ".json")
    assert machine.source.path.name == "machine.asl.json"


def test_after_sams_transform_each_place_is_as_cloudformation_takes_it(all_forms: Packaged) -> None:
    code, layer = ({"S3Bucket": BUCKET, "S3Key": each.key} for each in by_suffix(all_forms, ".zip"))
    (machine,) = ({"Bucket": BUCKET, "Key": each.key} for each in by_suffix(all_forms, ".json"))
    api = {"Bucket": BUCKET, "Key": by_suffix(all_forms, ".yaml")[0].key}

    resources = expanded(text_of(all_forms)).body["Resources"]

    found = {
        name: resource["Properties"][member]
        for name, resource in resources.items()
        for member in ("Code", "Content", "DefinitionS3Location", "BodyS3Location")
        if member in resource.get("Properties", {})
    }
    layer_id = next(name for name, resource in resources.items() if name.startswith("L") and "Content" in resource["Properties"])
    assert found == {
        **dict.fromkeys(("F", "PlainF"), code),
        **dict.fromkeys((layer_id, "PlainL"), layer),
        **dict.fromkeys(("M", "PlainM"), machine),
        **dict.fromkeys(("A", "H", "PlainA", "PlainH"), api),
    }


def test_and_the_control_plane_can_split_it(all_forms: Packaged) -> None:
    assert set(halves(text_of(all_forms)).functions) == {"F", "PlainF"}


def test_what_was_packaged_packages_to_itself(all_forms: Packaged, package: Package, project: Path) -> None:
    again = package(write(project, text_of(all_forms), "packaged.yaml"))

    assert [each.key for each in again.artifacts] == [all_forms.document.key]


def test_a_path_of_a_function_is_no_part_of_a_place_in_globals(package: Package, project: Path) -> None:
    """SAM merges the maps of both, so a Version of the other place would be left in this one."""
    text = f"""{SAM}
Globals: {{Function: {{CodeUri: {{Bucket: other, Key: k, Version: v}}, Handler: app.handler, Runtime: python3.13}}}}
Resources:
  F: {{Type: AWS::Serverless::Function, Properties: {{CodeUri: src/}}}}
"""
    packaged = package(write(project, text))

    code = expanded(text_of(packaged)).body["Resources"]["F"]["Properties"]["Code"]
    assert code == {"S3Bucket": BUCKET, "S3Key": packaged.artifacts[0].key}


def test_a_template_in_json_stays_json(package: Package, project: Path) -> None:
    body = {"Resources": {"F": {"Type": "AWS::Lambda::Function", "Properties": {"Code": "src/"}}}}
    packaged = package(write(project, json.dumps(body, indent=2), "template.json"))

    code, document = packaged.artifacts
    assert document.key.endswith(".json")
    assert json.loads(text_of(packaged))["Resources"]["F"]["Properties"]["Code"] == {"S3Bucket": BUCKET, "S3Key": code.key}


def test_a_path_leads_from_the_templates_folder_also_upwards(package: Package, project: Path) -> None:
    built = project / ".aws-sam" / "build"
    built.mkdir(parents=True)
    machine = "{Type: AWS::Serverless::StateMachine, Properties: {DefinitionUri: ../../machine.asl.json}}"

    packaged = package(write(built, f"{SAM}Resources:\n  M: {machine}\n"))

    assert [each.source.path.name for each in packaged.artifacts] == ["machine.asl.json", "template.yaml"]


def test_nothing_is_zipped_before_it_is_known_to_be_missing(tmp_path: Path, project: Path) -> None:
    room = scratch(tmp_path)

    packaged = package_template(write(project, ALL_FORMS), service="shop", bucket=BUCKET, scratch=room)

    assert list(room.iterdir()) == [packaged.document.source.path]


def test_nothing_is_left_in_the_project(package: Package, project: Path) -> None:
    template = write(project, ALL_FORMS)
    before = sorted(project.rglob("*"))

    package(template)

    assert sorted(project.rglob("*")) == before
    assert template.read_text() == ALL_FORMS


def test_a_path_behind_an_alias_is_replaced_for_all_that_mean_it(package: Package, project: Path) -> None:
    text = f"""{SAM}
Metadata:
  Ours: &ours {{CodeUri: src/, Handler: app.handler, Runtime: python3.13}}
Resources:
  F: {{Type: AWS::Serverless::Function, Properties: {{<<: *ours}}}}
  G: {{Type: AWS::Serverless::Function, Properties: {{<<: *ours, Timeout: 3}}}}
"""
    packaged = package(write(project, text))

    uri = f"s3://{BUCKET}/{packaged.artifacts[0].key}"
    resources = yaml.safe_load(text_of(packaged))["Resources"]
    assert [resources[name]["Properties"]["CodeUri"] for name in ("F", "G")] == [uri, uri]


# What is refused.


def refusal(package: Package, template: Path) -> str:
    with pytest.raises(PackagingFailed) as caught:
        package(template)
    return str(caught.value).replace(f"{template.parent}/", "")


FUNCTION = SAM + "Resources:\n  F:\n    Type: AWS::Serverless::Function\n    Properties:\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            FUNCTION + "      CodeUri: gone/\n",
            "template.yaml, line 6: CodeUri of F: gone is not there. Build first, or mend CodeUri.",
        ),
        (FUNCTION + "      CodeUri: api.yaml\n", "template.yaml, line 6: CodeUri of F: api.yaml is neither a folder nor a .zip"),
        (FUNCTION + "      Handler: h\n", "template.yaml, line 5: F has no CodeUri and no InlineCode"),
        (
            FUNCTION + "      PackageType: Image\n      ImageUri: f:latest\n",
            "template.yaml, line 7: F: the ImageUri f:latest names no digest in a registry. Push the image",
        ),
        (FUNCTION + "      CodeUri: {a: [}\n", "template.yaml, line 6: The template does not parse"),
        (FUNCTION + "      CodeUri: a\n      CodeUri: b\n", "template.yaml, line 7: Resources.F.Properties.CodeUri stands twice"),
        ("", "template.yaml: The template is empty."),
        (
            "Transform: [AWS::Serverless-2016-10-31, Ours]\nResources: {}\n",
            "template.yaml, line 1: The template's Transform names Ours, which cannot be expanded here.",
        ),
        (
            "Resources:\n  A:\n    Type: AWS::ApiGateway::RestApi\n    Properties:\n      Body:\n"
            "        Fn::Transform: {Name: AWS::Include, Parameters: {Location: api.yaml}}\n",
            "template.yaml, line 6: A uses Fn::Transform, which cannot be expanded here.",
        ),
        (
            "Resources:\n  M:\n    Type: AWS::StepFunctions::StateMachine\n    Properties:\n      DefinitionS3Location: src/\n",
            "template.yaml, line 5: DefinitionS3Location of M: src is no file. Mend the path.",
        ),
    ],
)
def test_it_says_where_and_what_to_do(package: Package, project: Path, text: str, said: str) -> None:
    assert refusal(package, write(project, text)).startswith(said)


def test_all_that_is_wrong_is_said_at_once_in_the_templates_order(package: Package, project: Path) -> None:
    nested = "{Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: n.yaml}}"
    text = f"{FUNCTION}      Handler: h\n  N: {nested}\nOutputs: {{O: {{Value: {{Fn::Ours: 1}}}}}}\n"

    lines = refusal(package, write(project, text)).split("\n")

    assert [line.split(": ")[0] for line in lines] == [f"template.yaml, line {number}" for number in (5, 7, 8)]


@pytest.mark.parametrize(
    "text",
    [
        FUNCTION + "      CodeUri: &code src/\n      Description: *code\n",
        FUNCTION + "      CodeUri: &code src/\n  P: {Type: AWS::Lambda::Function, Properties: {Code: *code}}\n",
        "Parameters: {P: {Type: String, Default: &code src/}}\n" + FUNCTION + "      CodeUri: *code\n",
    ],
    ids=["of another member", "of another form", "of a parameter"],
)
def test_a_path_that_an_alias_shares_with_something_else_is_refused(package: Package, project: Path, text: str) -> None:
    assert "is shared, by a YAML alias, with members" in refusal(package, write(project, text))


def test_a_template_that_gets_too_large_by_its_addresses_is_refused_for_its_size(package: Package, project: Path) -> None:
    text = FUNCTION + "      CodeUri: src/\n"
    padded = text + "#" * (1_000_000 - len(text))

    assert refusal(package, write(project, padded)).startswith("template.yaml: The template is larger than 1,000,000 bytes")
    assert package(write(project, padded[:-200])).artifacts


def test_a_template_that_is_not_there_is_named(package: Package, project: Path) -> None:
    assert refusal(package, project / "none.yaml").startswith("There is no template none.yaml. Build first")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            FUNCTION + "      CodeUri: gone/\n",
            "line 6: CodeUri of F: gone is not there. The build has run and made nothing there: mend CodeUri.",
        ),
        (
            FUNCTION + "      CodeUri: empty/\n",
            "empty has no files to package. The build has run and made nothing there: mend CodeUri.",
        ),
        (None, "The build has run and left none there: mend its path in the project file."),
    ],
)
def test_right_after_a_build_nobody_is_told_to_build(tmp_path: Path, project: Path, text: str | None, said: str) -> None:
    (project / "empty").mkdir()

    def build_and_package(template: Path) -> Packaged:
        return package_template(template, service="shop", bucket=BUCKET, scratch=scratch(tmp_path), built=True)

    assert said in refusal(build_and_package, project / "none.yaml" if text is None else write(project, text))


def test_a_folder_is_no_template(package: Package, project: Path) -> None:
    assert refusal(package, project / "src") == "The template src cannot be read: Is a directory."


def test_a_template_in_another_encoding_is_refused(package: Package, project: Path) -> None:
    template = project / "template.yaml"
    template.write_bytes("Description: größer\n".encode("latin-1"))

    assert refusal(package, template) == "The template template.yaml is no text in UTF-8: byte 15 is none of it."


# Functions without a template.

IMAGE = f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/orders@sha256:{'0' * 64}"


def packaged_functions(tmp_path: Path, project: Path, functions: dict[str, Any]) -> tuple[Packaged, dict[str, Any]]:
    packaged = package_functions(functions, project, service="shop", bucket=BUCKET, scratch=scratch(tmp_path))
    document: dict[str, Any] = json.loads(text_of(packaged))
    return packaged, document


def test_paths_become_places_and_the_rest_is_as_it_was(tmp_path: Path, project: Path) -> None:
    packaged, document = packaged_functions(
        tmp_path,
        project,
        {
            "Orders": {"function_name": "shop-orders", "code": "src", "configuration": {"Timeout": 5}},
            "Same": {"function_name": "shop-same", "code": "src/"},
            "Image": {"function_name": "shop-image", "code": {"image_uri": IMAGE}},
            "AsItIs": {"function_name": "shop-as-it-is"},
        },
    )

    (code,) = by_suffix(packaged, ".zip")
    assert code.key == f"code/shop/{folder_of(project / 'src').identity.hex()}.zip"
    # Without a sha256: the zip that lies there may be another machine's.
    place = {"s3_bucket": BUCKET, "s3_key": code.key}
    assert document == {
        "Orders": {"function_name": "shop-orders", "code": place, "configuration": {"Timeout": 5}},
        "Same": {"function_name": "shop-same", "code": place},
        "Image": {"function_name": "shop-image", "code": {"image_uri": IMAGE}},
        "AsItIs": {"function_name": "shop-as-it-is"},
    }
    assert FUNCTIONS.validate_python(document).keys() == document.keys()
    assert packaged.place == {"s3_bucket": BUCKET, "s3_key": f"code/shop/{packaged.document.source.identity.hex()}.json"}
    assert len(packaged.artifacts) == 2


def test_a_zip_of_ones_own_is_known_by_its_bytes_and_named_with_their_sha256(tmp_path: Path, project: Path) -> None:
    with zipfile.ZipFile(project / "code.zip", "w") as archive:
        archive.writestr("app.py", "")
    sha256 = hashlib.sha256((project / "code.zip").read_bytes()).hexdigest()

    _, document = packaged_functions(tmp_path, project, {"Orders": {"function_name": "shop-orders", "code": "code.zip"}})

    assert document["Orders"]["code"] == {"s3_bucket": BUCKET, "s3_key": f"code/shop/{sha256}.zip", "sha256": sha256}


def test_functions_in_another_order_are_the_same_document(tmp_path: Path, project: Path) -> None:
    functions = {"A": {"function_name": "a", "code": "src"}, "B": {"function_name": "b", "code": "lib"}}

    one, other = (
        packaged_functions(tmp_path, project, given)[0].document.key for given in (functions, dict(reversed(functions.items())))
    )

    assert one == other


def test_what_is_wrong_with_a_functions_code_names_the_function(tmp_path: Path, project: Path) -> None:
    with pytest.raises(PackagingFailed, match=r"^code of Orders: .*gone is not there\. Build first, or mend its `code`"):
        packaged_functions(tmp_path, project, {"Orders": {"function_name": "o", "code": "gone"}})
