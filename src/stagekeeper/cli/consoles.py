"""Links to the AWS console. Pure. Must not know what has a link, nor who opens it.

The forms are the console's own, as it shows them in the browser; AWS documents none of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

#: Where each partition has its console.
_ROOTS = {
    "aws": "https://console.aws.amazon.com",
    "aws-cn": "https://console.amazonaws.cn",
    "aws-us-gov": "https://console.amazonaws-us-gov.com",
}


@dataclass(frozen=True, slots=True)
class Link:
    """``what`` it shows, in words."""

    what: str
    url: str


@dataclass(frozen=True, slots=True)
class AwsConsole:
    """The console of a partition, in one Region."""

    root: str
    region: str

    @classmethod
    def of(cls, arn: str) -> AwsConsole | None:
        """The one that shows the resource with this ARN; None for a partition whose console is not known."""
        _, partition, _, region, *_ = arn.split(":", 5)
        root = _ROOTS.get(partition)
        return None if root is None else cls(root, region)

    def function(self, arn: str, alias: str | None = None) -> str:
        shown = f"functions/{_part(arn.rpartition(':')[2])}"
        return self._page("lambda", f"/{shown}" if alias is None else f"/{shown}/aliases/{_part(alias)}")

    def execution(self, arn: str) -> str:
        return self._page("states", f"/v2/executions/details/{quote(arn, safe=':')}")

    def state_machine(self, arn: str) -> str:
        return self._page("states", f"/statemachines/view/{quote(arn, safe=':')}")

    def table(self, name: str) -> str:
        return self._page("dynamodbv2", f"table?name={_part(name)}")

    def stack(self, stack_id: str) -> str:
        return self._page("cloudformation", f"/stacks/stackinfo?stackId={_part(stack_id)}")

    def _page(self, service: str, place: str) -> str:
        return f"{self.root}/{service}/home?region={_part(self.region)}#{place}"


def _part(text: str) -> str:
    return quote(text, safe="")
