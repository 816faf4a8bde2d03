"""A worker of a consumer group: worker.py GROUP TOPIC, until Ctrl-C.

Prints each record as `partition offset value`; says on stderr what it is given and gives back. Shares its group with workers in any
language. One thread does it all, so what it does with one record must be shorter than the group's session timeout (45 s unless set).
"""

import os
import signal
import sys
import time
from collections import deque
from dataclasses import dataclass, field

import grpc
from failure import failure_in, failure_of
from member import Key, Member, NoMember, ask
from millrace.v1 import group_service_pb2, log_service_pb2, log_service_pb2_grpc, records_pb2

_TIMEOUT = 5
_COMMIT_EVERY = 1.0
_IDLE = 0.02


@dataclass
class Place:
    """A partition in this worker's hands."""

    topic: str
    next_offset: int
    # What was fetched and waits for its turn: (offset, record).
    waiting: deque[tuple[int, records_pb2.LogRecord]] = field(default_factory=deque)
    # Of the last record, or of the leader it came from: with the offset it names a place in this log, and in none that lost its end since.
    term: int | None = None
    dirty: bool = False


class Worker:
    def __init__(self, channel: grpc.Channel, group: str, topic: str):
        self._log = log_service_pb2_grpc.LogServiceStub(channel)
        self._member = Member(channel, group, [topic])
        self._held: dict[Key, Place] = {}
        self._next_commit = 0.0
        self._stopping = False

    def stop(self) -> None:
        self._stopping = True

    def run(self) -> None:
        joined = False
        while not self._stopping:
            try:
                if not joined:
                    self._take(self._member.join())
                    joined = True
                self._turn()
            except NoMember as error:
                # Without a commit: others may have gone on already.
                say("lost", self._held)
                print(f"not a member any more: {error}; joining again", file=sys.stderr, flush=True)
                self._held = {}
                joined = False
        try:
            self._commit()
            self._member.leave()
        except NoMember:
            pass

    def _turn(self) -> None:
        """A heartbeat and a commit when they are due, and one record of each partition."""
        if self._member.due:
            told = self._member.heartbeat(self._names())
            if told is not None:
                self._take(told)
        if time.monotonic() >= self._next_commit:
            self._commit()
        # A list, so that every partition has its turn.
        if not any([self._process(key, place) for key, place in self._held.items()]):
            time.sleep(_IDLE)

    def _take(self, told: dict[Key, str]) -> None:
        """Gives back what is not there any more, then begins what is new: nobody gets a partition before its owner has given it back."""
        leaving = {key: place for key, place in self._held.items() if key not in told}
        if leaving:
            # Nothing is in hand here; what was done is committed while it is still ours, and then a heartbeat goes without it.
            self._commit()
            self._held = {key: place for key, place in self._held.items() if key in told}
            say("gave back", leaving)
            newer = self._member.heartbeat(self._names())
            told = told if newer is None else newer
        coming = [(name, key) for key, name in told.items() if key not in self._held]
        if coming:
            committed = self._member.committed(coming)
            for name, key in coming:
                # Nothing is left out: a partition without a commit begins where its log does.
                offset, term = committed[key] if key in committed else (self._start_of(name, key), None)
                self._held[key] = Place(name, offset, term=term)
            say("assigned", [key for _, key in coming])
        if any(key not in told for key in self._held):
            self._take(told)

    def _process(self, key: Key, place: Place) -> bool:
        if not place.waiting and not self._fetch(key, place):
            return False
        offset, record = place.waiting.popleft()
        print(key[1], offset, record.value.decode(), flush=True)
        place.next_offset = offset + 1
        place.dirty = True
        return True

    def _fetch(self, key: Key, place: Place) -> bool:
        request = log_service_pb2.FetchRequest(
            topic=place.topic, topic_id=key[0], partition=key[1], offset=place.next_offset, last_term=place.term,
            accept=[records_pb2.COMPRESSION_NONE],
        )
        try:
            answer = self._log.Fetch(request, timeout=_TIMEOUT)
        except grpc.RpcError as error:
            # Also a topic that was deleted: the next heartbeats take its partitions away.
            if not failure_of(error).again and failure_of(error).reason != "UNKNOWN_TOPIC":
                raise
            return False
        for batch in answer.batches:
            place.waiting.extend(enumerate(batch.records.records, batch.base_offset))
        if not place.waiting:
            return False
        place.term = answer.term
        return True

    def _commit(self) -> None:
        """What was done, in one call."""
        self._next_commit = time.monotonic() + _COMMIT_EVERY
        done = {key: place for key, place in self._held.items() if place.dirty}
        if not done:
            return
        offsets = [
            group_service_pb2.OffsetCommit(topic=place.topic, topic_id=topic_id, partition=partition, offset=place.next_offset, term=place.term)
            for (topic_id, partition), place in done.items()
        ]
        for partition, reason in self._member.commit(offsets):
            print(f"commit of partition {partition} refused: {reason}", file=sys.stderr, flush=True)
        for place in done.values():
            place.dirty = False

    def _start_of(self, topic: str, key: Key) -> int:
        request = log_service_pb2.ListOffsetsRequest(topic=topic, topic_id=key[0], partitions=[key[1]])
        while True:
            found = ask(self._log.ListOffsets, request).partitions[0]
            if not found.HasField("error"):
                return found.log_start_offset
            failure = failure_in(found.error)
            if not failure.again:
                raise RuntimeError(failure)
            time.sleep(failure.retry_after or _IDLE)

    def _names(self) -> dict[Key, str]:
        return {key: place.topic for key, place in self._held.items()}


def say(what: str, keys) -> None:
    if keys:
        print(what, *sorted(partition for _, partition in keys), file=sys.stderr, flush=True)


def main() -> None:
    group, topic = sys.argv[1:]
    brokers = os.environ.get("MILLRACE_BROKERS", "127.0.0.1:7400").split(",")
    with grpc.insecure_channel(brokers[0]) as channel:
        worker = Worker(channel, group, topic)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: worker.stop())
        worker.run()


if __name__ == "__main__":
    main()
