"""Blobs as functions see them: as content, or as a reference that the SDK types of the blob extension open."""

import json
from collections.abc import Mapping
from typing import Any

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobProperties
from azure.storage.blob.aio import BlobClient

from local.functions_host.config import resolve
from local.functions_host.model import Binding, HostError
from local.functions_host.protos import ModelBindingData, TypedData
from local.functions_host.storage.connections import DEFAULT, Connections
from local.functions_host.storage.expressions import fill


def takes_reference(binding: Binding) -> bool:
    """Tell whether the function's parameter is an SDK type."""
    properties = binding.properties.get("properties") or {}
    return str(properties.get("SupportsDeferredBinding", False)).lower() == "true"


def reference(setting: str, container: str, blob: str) -> TypedData:
    """Return a reference to a blob."""
    content = {"Connection": setting, "ContainerName": container, "BlobName": blob}
    return TypedData(
        model_binding_data=ModelBindingData(
            version="1.0",
            source="AzureStorageBlobs",
            content_type="application/json",
            content=json.dumps(content).encode(),
        )
    )


def content_of(binding: Binding, data: bytes) -> TypedData:
    """Return a blob's content as the function wants it: text, or bytes."""
    if binding.as_text:
        return TypedData(string=data.decode(errors="replace"))
    return TypedData(bytes=data)


def metadata_of(client: BlobClient, properties: BlobProperties, values: Mapping[str, str]) -> dict[str, TypedData]:
    """Return what the worker tells the function of a blob: names from its path, address, properties, metadata."""
    described: dict[str, Any] = {
        "ContentLength": properties.size,
        "Length": properties.size,
        "ContentType": properties.content_settings.content_type,
        "ETag": properties.etag,
        "LastModified": properties.last_modified.isoformat() if properties.last_modified else None,
        "CreatedOn": properties.creation_time.isoformat() if properties.creation_time else None,
    }
    found: dict[str, Any] = {
        **values,
        "BlobTrigger": f"{client.container_name}/{client.blob_name}",
        "Uri": client.url,
        "Properties": described,
        "Metadata": dict(properties.metadata or {}),
    }
    return {name: TypedData(json=json.dumps(value)) for name, value in found.items()}


class BlobBindings:
    """Blob input and output bindings."""

    def __init__(self, connections: Connections, environ: Mapping[str, str]) -> None:
        self._connections = connections
        self._environ = environ

    async def get(self, binding: Binding, metadata: Mapping[str, TypedData]) -> TypedData:
        """Return an input blob; nothing when it does not exist."""
        setting, container, blob = self._place(binding, metadata)
        if takes_reference(binding):
            return reference(setting, container, blob)
        client = self._connections.blobs(setting, _where(binding)).get_blob_client(container, blob)
        try:
            return content_of(binding, await (await client.download_blob()).readall())
        except ResourceNotFoundError:
            return TypedData()

    async def put(self, binding: Binding, value: TypedData, metadata: Mapping[str, TypedData]) -> None:
        """Write an output blob, creating its container when that is missing."""
        setting, container, blob = self._place(binding, metadata)
        service = self._connections.blobs(setting, _where(binding))
        client = service.get_blob_client(container, blob)
        content = value.value()
        data = content if isinstance(content, bytes) else str(content).encode()
        try:
            await client.upload_blob(data, overwrite=True)
        except ResourceNotFoundError:
            await service.create_container(container)
            await client.upload_blob(data, overwrite=True)

    def _place(self, binding: Binding, metadata: Mapping[str, TypedData]) -> tuple[str, str, str]:
        where = _where(binding)
        path = fill(resolve(binding.text("path"), self._environ, where), metadata, where)
        container, _, blob = path.strip("/").partition("/")
        if not blob:
            raise HostError(f"{where}: the path {path!r} names no blob")
        return binding.text("connection") or DEFAULT, container, blob


def _where(binding: Binding) -> str:
    return f"blob binding {binding.name!r}"
