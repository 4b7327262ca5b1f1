"""Entities: who holds a lock, which operations may run meanwhile, and what is left of an entity that was deleted."""

from collections.abc import Iterable
from datetime import UTC, datetime

import durabletask.internal.orchestrator_service_pb2 as pb
import grpc
from durabletask.testing.in_memory_backend import EntityState, InMemoryOrchestrationBackend, PendingLockRequest

from local.functions_host.durable.clock import Clock
from local.functions_host.durable.events import text


class EntityBackend(InMemoryOrchestrationBackend):
    """The backend's entities, with exclusive locks and without sleeping threads."""

    def __init__(self, clock: Clock, max_history_size: int) -> None:
        super().__init__(max_history_size=max_history_size, port=0)
        self.clock = clock
        self._lock_owners: dict[str, str] = {}  # critical section -> instance that holds it

    def take_entity(self) -> pb.WorkItem | None:
        """Return the next batch of operations, or None. The entity has no other batch until that one is completed."""
        with self._lock:
            while self._entity_queue:
                entity_id = self._entity_queue.popleft()
                self._entity_queue_set.discard(entity_id)
                entity = self._entities.get(entity_id)
                if entity is None or entity_id in self._entity_in_flight:
                    continue
                operations = [event for event in entity.pending_operations if self._may_run(entity, event)]
                if not operations:
                    continue
                entity.pending_operations = [
                    event for event in entity.pending_operations if not self._may_run(entity, event)
                ]
                entity.dispatched_operations = operations
                self._entity_in_flight.add(entity_id)
                return pb.WorkItem(
                    completionToken=str(entity.completion_token),
                    entityRequestV2=pb.EntityRequest(
                        instanceId=entity_id,
                        entityState=text(entity.serialized_state),
                        operationRequests=operations,
                    ),
                )
        return None

    def release_locks(self, instance_id: str) -> None:
        """Free what an instance still holds or waits for: it has ended."""
        with self._lock:
            self._pending_lock_requests = [
                request for request in self._pending_lock_requests if request.parent_instance_id != instance_id
            ]
            held = [section for section, owner in self._lock_owners.items() if owner == instance_id]
            for section in held:
                del self._lock_owners[section]
            for entity in self._entities.values():
                if entity.locked_by in held:
                    entity.locked_by = None
                    self._enqueue_entity(entity.instance_id)
            if held:
                self._try_grant_pending_locks()  # type: ignore[no-untyped-call]

    def CompleteEntityTask(
        self, request: pb.EntityBatchResult, context: grpc.ServicerContext
    ) -> pb.CompleteTaskResponse:
        """Commit a batch; a lock that waited for its end may be granted now."""
        with self._lock:
            response = super().CompleteEntityTask(request, context)
            self._try_grant_pending_locks()  # type: ignore[no-untyped-call]
        return response

    def GetEntity(self, request: pb.GetEntityRequest, context: grpc.ServicerContext) -> pb.GetEntityResponse:
        """Return an entity; one without a state does not exist."""
        with self._lock:
            entity = self._entities.get(request.instanceId)
            if entity is None or entity.serialized_state is None:
                return pb.GetEntityResponse(exists=False)
            return super().GetEntity(request, context)

    def QueryEntities(
        self, request: pb.QueryEntitiesRequest, context: grpc.ServicerContext
    ) -> pb.QueryEntitiesResponse:
        """Return entities; those without a state only when transient ones are asked for."""
        with self._lock:
            everything = self._entities
            wanted = pb.QueryEntitiesRequest()
            wanted.CopyFrom(request)
            wanted.query.includeTransient = True  # the backend's own idea of transient is "has something to do"
            if not request.query.includeTransient:
                self._entities = {
                    name: entity for name, entity in everything.items() if entity.serialized_state is not None
                }
            try:
                return super().QueryEntities(wanted, context)
            finally:
                self._entities = everything

    def CleanEntityStorage(
        self, request: pb.CleanEntityStorageRequest, context: grpc.ServicerContext
    ) -> pb.CleanEntityStorageResponse:
        """Remove entities that hold nothing, and locks of instances that have ended."""
        released = removed = 0
        with self._lock:
            if request.releaseOrphanedLocks:
                for entity in [entity for entity in self._entities.values() if self._orphaned(entity)]:
                    entity.locked_by = None
                    released += 1
                    self._enqueue_entity(entity.instance_id)
                self._try_grant_pending_locks()  # type: ignore[no-untyped-call]
            if request.removeEmptyEntities:
                for name in [name for name, entity in self._entities.items() if self._empty(entity)]:
                    del self._entities[name]
                    removed += 1
        return pb.CleanEntityStorageResponse(emptyEntitiesRemoved=removed, orphanedLocksReleased=released)

    def _may_run(self, entity: EntityState, event: pb.HistoryEvent) -> bool:
        if entity.locked_by is None:
            return True
        owner = self._lock_owners.get(entity.locked_by)
        return event.HasField("entityOperationCalled") and event.entityOperationCalled.parentInstanceId.value == owner

    def _orphaned(self, entity: EntityState) -> bool:
        if entity.locked_by is None:
            return False
        owner = self._instances.get(self._lock_owners.get(entity.locked_by, ""))
        return owner is None or self._is_terminal_status(owner.status)

    def _empty(self, entity: EntityState) -> bool:
        idle = not entity.pending_operations and entity.instance_id not in self._entity_in_flight
        return entity.serialized_state is None and entity.locked_by is None and idle

    def _grant_lock(self, pending: PendingLockRequest) -> None:
        self._lock_owners[pending.critical_section_id] = pending.parent_instance_id
        super()._grant_lock(pending)

    def _can_grant_lock(self, pending: PendingLockRequest) -> bool:
        busy = any(entity_id in self._entity_in_flight for entity_id in pending.lock_set)
        return not busy and super()._can_grant_lock(pending)

    def _unlocked(self, section: str, entities: Iterable[str]) -> None:
        """Let what waited for a lock go on."""
        if not any(entity.locked_by == section for entity in self._entities.values()):
            self._lock_owners.pop(section, None)
        for entity_id in entities:
            entity = self._entities.get(entity_id)
            if entity is not None and entity.pending_operations:
                self._enqueue_entity(entity_id)

    def _schedule_delayed_entity_operation(self, entity_id: str, event: pb.HistoryEvent, fire_at: datetime) -> None:
        def fire() -> None:
            with self._lock:
                self._queue_entity_operation(entity_id, event)

        self.clock.at(fire_at.astimezone(UTC), fire)
