"""A member of a consumer group, from nothing but the generated stubs: docs/groups.md, said in Python."""

import time
import uuid
from collections.abc import Callable
from typing import TypeVar

import grpc
from failure import failure_in, failure_of
from millrace.v1 import group_service_pb2 as pb
from millrace.v1 import group_service_pb2_grpc

_TIMEOUT = 5
_JOIN = 0
_LEAVE = -1
# The member is none any more: everything it had may be somebody else's by now.
_GONE = {"UNKNOWN_MEMBER", "MEMBER_FENCED"}
_Answer = TypeVar("_Answer")

# (topic_id, partition): a topic that is deleted and made again under its name is another one.
Key = tuple[str, int]


class NoMember(Exception):
    """Give up all partitions, without a commit, and join again."""


def ask(method: Callable[..., _Answer], request: object) -> _Answer:
    """Sends until there is an answer, which is for calls that may be sent twice: heartbeats, commits and reads. Raises NoMember."""
    backoff = 0.05
    while True:
        try:
            return method(request, timeout=_TIMEOUT, wait_for_ready=True)
        except grpc.RpcError as error:
            failure = failure_of(error)
            if failure.reason in _GONE:
                raise NoMember(failure.reason) from error
            if not failure.again:
                raise
        time.sleep(failure.retry_after or backoff)
        backoff = min(backoff * 2, 1)


class Member:
    """Speaks for one member, by unary Heartbeat. Not for use by several threads at once."""

    def __init__(self, channel: grpc.Channel, group: str, topics: list[str]):
        self._stub = group_service_pb2_grpc.GroupServiceStub(channel)
        self._group = group
        self._topics = topics
        # Kept for life, also over new connections and after joining again.
        self.id = str(uuid.uuid4())
        self._epoch = _JOIN
        self._interval = 0.0
        self._next = 0.0

    @property
    def due(self) -> bool:
        """It is time for a heartbeat."""
        return time.monotonic() >= self._next

    def join(self) -> dict[Key, str]:
        """All that it is to hold, with the topic's name. What it held before, it does not hold any more."""
        return self._beat(pb.MemberHeartbeat(topics=self._topics, topics_changed=True, member_epoch=_JOIN)) or {}

    def heartbeat(self, held: dict[Key, str]) -> dict[Key, str] | None:
        """Says what it holds; hears all that it is to hold from now on, or None when nothing changed. Raises NoMember."""
        return self._beat(pb.MemberHeartbeat(member_epoch=self._epoch, owned=_listed(held)))

    def leave(self) -> None:
        """For good: its partitions go to others at once."""
        ask(self._stub.Heartbeat, pb.HeartbeatRequest(heartbeat=self._named(pb.MemberHeartbeat(member_epoch=_LEAVE))))

    def committed(self, keys: list[tuple[str, Key]]) -> dict[Key, tuple[int, int | None]]:
        """Where to go on, and the term of the record before it, if that was said; without those of which nothing was committed."""
        topics: dict[tuple[str, str], list[int]] = {}
        for name, (topic_id, partition) in keys:
            topics.setdefault((name, topic_id), []).append(partition)
        named = [pb.TopicPartitions(topic=name, topic_id=topic_id, partitions=numbers) for (name, topic_id), numbers in topics.items()]
        request = pb.FetchOffsetsRequest(group_id=self._group, topics=named)
        answer = ask(self._stub.FetchOffsets, request)
        return {
            (c.topic_id, c.partition): (c.offset, c.term if c.HasField("term") else None) for c in answer.offsets if c.HasField("offset")
        }

    def commit(self, offsets: list[pb.OffsetCommit]) -> list[tuple[int, str]]:
        """Durable when it returns, but for those it names, with their reason. Raises NoMember."""
        request = pb.CommitOffsetsRequest(group_id=self._group, member_id=self.id, member_epoch=self._epoch, offsets=offsets)
        refused = [(e.partition, failure_in(e.error).reason) for e in ask(self._stub.CommitOffsets, request).errors]
        if any(reason in _GONE for _, reason in refused):
            raise NoMember(refused)
        return refused

    def _beat(self, heartbeat: pb.MemberHeartbeat) -> dict[Key, str] | None:
        state = ask(self._stub.Heartbeat, pb.HeartbeatRequest(heartbeat=self._named(heartbeat))).state
        # The newest epoch it was told is the one it says from now on: in heartbeats and in commits.
        self._epoch = state.member_epoch
        self._interval = state.heartbeat_interval_ms / 1000
        self._next = time.monotonic() + self._interval
        if not state.assignment_changed:
            return None
        return {(a.topic_id, partition): a.topic for a in state.assignment for partition in a.partitions}

    def _named(self, heartbeat: pb.MemberHeartbeat) -> pb.MemberHeartbeat:
        heartbeat.group_id = self._group
        heartbeat.member_id = self.id
        return heartbeat


def _listed(held: dict[Key, str]) -> list[pb.AssignedPartitions]:
    topics: dict[tuple[str, str], list[int]] = {}
    for (topic_id, partition), name in held.items():
        topics.setdefault((name, topic_id), []).append(partition)
    return [pb.AssignedPartitions(topic=name, topic_id=topic_id, partitions=numbers) for (name, topic_id), numbers in topics.items()]
