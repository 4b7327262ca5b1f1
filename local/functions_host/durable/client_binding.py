"""The durable client binding: what the app's client needs to find this host."""

import json
from collections.abc import Mapping
from urllib.parse import urlencode

from local.functions_host.durable.backend import MESSAGE_BYTES
from local.functions_host.model import Binding
from local.functions_host.protos import TypedData

WEBHOOK = "/runtime/webhooks/durabletask"
PLACEHOLDER = "INSTANCEID"


class ClientBinding:
    """Makes the value of `durableClient` bindings."""

    def __init__(self, hub: str, origin: str, rpc_address: str, key: str | None) -> None:
        self._hub = hub
        self._origin = origin
        self._rpc = rpc_address
        self._key = key

    async def value(self, binding: Binding, metadata: Mapping[str, TypedData]) -> TypedData:
        """Return the client's settings for one binding."""
        hub = binding.text("taskHub") or self._hub
        connection = binding.text("connectionName") or "Storage"
        query = urlencode({"taskHub": hub, "connection": connection, **({"code": self._key} if self._key else {})})
        base = self._origin + WEBHOOK
        settings = {
            "taskHubName": hub,
            "connectionName": connection,
            "creationUrls": {
                "createNewInstancePostUri": f"{base}/orchestrators/{{functionName}}[/{{instanceId}}]?{query}",
                "createAndWaitOnNewInstancePostUri": f"{base}/orchestrators/{{functionName}}[/{{instanceId}}]"
                f"?timeout={{timeoutInSeconds}}&pollingInterval={{intervalInSeconds}}&{query}",
            },
            "managementUrls": management_urls(base, PLACEHOLDER, query),
            "baseUrl": base,
            "httpBaseUrl": base,
            "requiredQueryStringParameters": query,
            "rpcBaseUrl": self._rpc,
            "useForwardedHost": False,
            "maxGrpcMessageSizeInBytes": MESSAGE_BYTES,
            "grpcHttpClientTimeout": "00:01:40",
        }
        return TypedData(string=json.dumps(settings))


def management_urls(base: str, instance_id: str, query: str) -> dict[str, str]:
    """Return the URLs that manage an instance, as Microsoft's HTTP API names them."""
    instance = f"{base}/instances/{instance_id}"
    tail = f"?{query}" if query else ""
    more = f"&{query}" if query else ""
    return {
        "id": instance_id,
        "statusQueryGetUri": f"{instance}{tail}",
        "sendEventPostUri": f"{instance}/raiseEvent/{{eventName}}{tail}",
        "terminatePostUri": f"{instance}/terminate?reason={{text}}{more}",
        "rewindPostUri": f"{instance}/rewind?reason={{text}}{more}",
        "purgeHistoryDeleteUri": f"{instance}{tail}",
        "restartPostUri": f"{instance}/restart{tail}",
        "suspendPostUri": f"{instance}/suspend?reason={{text}}{more}",
        "resumePostUri": f"{instance}/resume?reason={{text}}{more}",
    }
