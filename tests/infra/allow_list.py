"""Make `types.json`: the properties of each resource type that the templates use, at the API version that they use.

No Bicep compiler and no type index is in a package registry, but Microsoft's management libraries for Python are, and
their models come from the same specifications. Run this after a type or a version was added:

    python -m venv types && types/bin/pip install -r tests/infra/allow_list.txt
    types/bin/python tests/infra/allow_list.py

A model becomes a tree of property names. Leaves are "string", "int", "bool", "any", the name of a model or of a list of
values, `[x]` for a list, `{x}` for a map; in front "!" marks what only the service writes, "*" what must be given.
"""

import enum
import importlib
import json
import re
import sys
from pathlib import Path
from typing import Any

OUT = Path(__file__).parent / "types.json"
# type@version: where its model is; a second name is the model that is read back, where that is another one
RESOURCES = {
    "Microsoft.Resources/resourceGroups@2024-11-01": "resource.resources.v2024_11_01:ResourceGroup",
    "Microsoft.Storage/storageAccounts@2025-06-01": "storage:StorageAccountCreateParameters:StorageAccount",
    "Microsoft.Storage/storageAccounts/blobServices@2025-06-01": "storage:BlobServiceProperties",
    "Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01": "storage:BlobContainer",
    "Microsoft.Storage/storageAccounts/queueServices@2025-06-01": "storage:QueueServiceProperties",
    "Microsoft.Storage/storageAccounts/queueServices/queues@2025-06-01": "storage:StorageQueue",
    "Microsoft.Storage/storageAccounts/managementPolicies@2025-06-01": "storage:ManagementPolicy",
    "Microsoft.Web/serverfarms@2025-03-01": "web:AppServicePlan",
    "Microsoft.Web/sites@2025-03-01": "web:Site",
    "Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01": "web:CsmPublishingCredentialsPoliciesEntity",
    "Microsoft.Web/sites/config@2025-03-01": "web:SiteAuthSettingsV2",
    "Microsoft.Search/searchServices@2025-05-01": "search:SearchService",
    "Microsoft.CognitiveServices/accounts@2025-06-01": "cognitiveservices:Account",
    "Microsoft.CognitiveServices/accounts/deployments@2025-06-01": "cognitiveservices:Deployment",
    "Microsoft.OperationalInsights/workspaces@2025-07-01": "loganalytics:Workspace",
    "Microsoft.Insights/components@2020-02-02": "applicationinsights.v2020_02_02:ApplicationInsightsComponent",
    "Microsoft.Insights/workbooks@2023-06-01": "applicationinsights.v2023_06_01:Workbook",
    "Microsoft.Insights/metricAlerts@2018-03-01": "monitor.v2018_03_01:MetricAlertResource",
    # The library stops at the preview whose properties became this version.
    "Microsoft.Insights/scheduledQueryRules@2023-12-01": "monitor.v2022_08_01_preview:ScheduledQueryRuleResource",
    "Microsoft.Insights/actionGroups@2023-01-01": "monitor.v2023_01_01:ActionGroupResource",
    "Microsoft.Insights/diagnosticSettings@2021-05-01-preview": (
        "monitor.v2021_05_01_preview:DiagnosticSettingsResource"
    ),
    "Microsoft.EventGrid/systemTopics@2025-02-15": "eventgrid:SystemTopic",
    "Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15": "eventgrid:EventSubscription",
    "Microsoft.Network/virtualNetworks@2024-10-01": "network:VirtualNetwork",
    "Microsoft.Network/networkSecurityGroups@2024-10-01": "network:NetworkSecurityGroup",
    "Microsoft.Network/privateEndpoints@2024-10-01": "network:PrivateEndpoint",
    "Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2024-10-01": "network:PrivateDnsZoneGroup",
    "Microsoft.Network/privateDnsZones@2024-06-01": "privatedns:PrivateZone",
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01": "privatedns:VirtualNetworkLink",
    "Microsoft.Network/trafficManagerProfiles@2022-04-01": "trafficmanager:Profile",
    "Microsoft.DurableTask/schedulers@2026-02-01": "durabletask:Scheduler",
    "Microsoft.DurableTask/schedulers/taskHubs@2026-02-01": "durabletask:TaskHub",
    "Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30": "msi.v2024_11_30:Identity",
    "Microsoft.Authorization/roleAssignments@2022-04-01": (
        "authorization.v2022_04_01:RoleAssignmentCreateParameters:RoleAssignment"
    ),
    "Microsoft.Authorization/roleDefinitions@2022-04-01": "authorization.v2022_04_01:RoleDefinition",
    # Locks did not change between these two; the library has the older one.
    "Microsoft.Authorization/locks@2020-05-01": "resource.locks.v2016_09_01:ManagementLockObject",
}
SIMPLE = {"str": "string", "int": "int", "bool": "bool", "float": "any", "object": "any", "Any": "any"}


class Maker:
    """Collects models and lists of values as they are met."""

    def __init__(self) -> None:
        self.models: dict[str, Any] = {}

    def model(self, package: str, name: str) -> str:
        """Note a model with all that it uses; returns the name that it is noted under."""
        key = f"{package.split('.')[0]}.{name}"
        if key in self.models:
            return key
        module = importlib.import_module(f"azure.mgmt.{package}.models")
        found = getattr(module, name)
        if isinstance(found, type) and issubclass(found, enum.Enum):
            self.models[key] = [str(member.value) for member in found]
            return key
        tree: dict[str, Any] = {}
        self.models[key] = tree
        if hasattr(found, "_attribute_map"):
            self._mapped(package, found, tree)
        else:
            self._annotated(package, found, tree)
        return key

    def _mapped(self, package: str, found: Any, tree: dict[str, Any]) -> None:
        hints = {name: str(hint) for kind in reversed(found.__mro__[:-1]) for name, hint in _init_hints(kind).items()}
        for name, entry in found._attribute_map.items():
            *outer, last = [part.replace("\\.", ".") for part in re.split(r"(?<!\\)\.", entry["key"])]
            place = tree
            for part in outer:
                place = place.setdefault(part, {})
            rules = found._validation.get(name, {})
            mark = "!" if rules.get("readonly") else "*" if rules.get("required") else ""
            place[last] = mark + self._kind(package, entry["type"], hints.get(name, ""))
        subtypes = getattr(found, "_subtype_map", {})
        for key, choices in subtypes.items():
            wire = found._attribute_map[key]["key"].replace("\\.", ".")
            tree["$by"] = wire
            tree["$kinds"] = {value: self.model(package, name) for value, name in choices.items()}

    def _kind(self, package: str, kind: str, hint: str) -> str:
        if kind[0] in "[{":
            return f"{kind[0]}{self._kind(package, kind[1:-1], hint)}{kind[-1]}"
        if kind == "str":
            choice = re.search(r"_models\.(\w+)", hint)
            return self.model(package, choice[1]) if choice else "string"
        if kind in SIMPLE:
            return SIMPLE[kind]
        if kind[0].isupper() and hasattr(importlib.import_module(f"azure.mgmt.{package}.models"), kind):
            return self.model(package, kind)
        return "string"  # durations, dates and the like are texts

    def _annotated(self, package: str, found: Any, tree: dict[str, Any]) -> None:
        for kind in reversed(found.__mro__[:-1]):
            for name, hint in getattr(kind, "__annotations__", {}).items():
                field = vars(kind).get(name)
                if type(field).__name__ != "_RestField":
                    continue
                shown = str(hint)
                inner = re.search(r"_models\.(\w+)", shown)
                basic = next((SIMPLE[word] for word in re.findall(r"\w+", shown) if word in SIMPLE), "any")
                leaf = self.model(package, inner[1]) if inner else basic
                if "list[" in shown or "List[" in shown:
                    leaf = f"[{leaf}]"
                elif "dict[" in shown or "Dict[" in shown:
                    leaf = f"{{{leaf}}}"
                readonly = list(getattr(field, "_visibility", None) or []) == ["read"]
                tree[getattr(field, "_rest_name_input", None) or name] = ("!" if readonly else "") + leaf


def _init_hints(kind: Any) -> dict[str, Any]:
    return getattr(kind.__init__, "__annotations__", {})


def main() -> int:
    """Write the file; returns the exit code."""
    maker = Maker()
    resources = {}
    for kind, where in RESOURCES.items():
        package, write, *read = where.split(":")
        resources[kind] = [maker.model(package, name) for name in (write, *read)]
    content = {"resources": resources, "models": dict(sorted(maker.models.items()))}
    OUT.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
