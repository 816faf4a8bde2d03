"""One Python worker and two TypeScript workers share a group: each record is processed, and only what a killed worker left is done twice.

Needs what `examples/run` sets up: brokers with a short group.session.timeout.ms, and dist/ for `millrace consume --group`.
"""

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from pathlib import Path

import grpc
from checks import Checks
from millrace.v1 import admin_service_pb2, admin_service_pb2_grpc, group_service_pb2, group_service_pb2_grpc
from millrace.v1 import log_service_pb2, log_service_pb2_grpc
from producer import Producer

TIMEOUT = 15
PARTITIONS = 6
# Of each worker, before one is killed and afterwards: it is in the middle of its work.
SOME = 60

brokers = os.environ.get("MILLRACE_BROKERS", "127.0.0.1:7400")
here = Path(__file__).parent
topic = f"shared-{uuid.uuid4()}"
group = f"group-{uuid.uuid4()}"
checks = Checks()
channel = grpc.insecure_channel(brokers.split(",")[0])
admin = admin_service_pb2_grpc.AdminServiceStub(channel)
log = log_service_pb2_grpc.LogServiceStub(channel)
groups = group_service_pb2_grpc.GroupServiceStub(channel)


class Process:
    """A worker of some language: prints `partition offset value`, and on stderr what it holds."""

    def __init__(self, *command: str):
        # Each (partition, offset) in the order it was processed.
        self.done: list[tuple[int, int]] = []
        self.said: list[str] = []
        self.holds: set[int] = set()
        environment = {**os.environ, "MILLRACE_BROKERS": brokers}
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        self._readers = [threading.Thread(target=self._read_done), threading.Thread(target=self._read_said)]
        for reader in self._readers:
            reader.start()

    def _read_done(self) -> None:
        for line in self._process.stdout:
            # What a killed process left of its last line says nothing.
            if line.endswith("\n"):
                partition, offset, _ = line.split()
                self.done.append((int(partition), int(offset)))

    def _read_said(self) -> None:
        for line in self._process.stderr:
            self.said.append(line)
            numbers = {int(word) for word in line.split() if word.isdigit()}
            if line.startswith("assigned "):
                self.holds = self.holds | numbers
            elif line.startswith(("gave back ", "lost ")):
                self.holds = self.holds - numbers

    def end(self, number: int) -> int:
        """Its exit code, once all it said is read."""
        self._process.send_signal(number)
        try:
            return self._process.wait(TIMEOUT)
        finally:
            self._process.kill()
            for reader in self._readers:
                reader.join()


def python_worker() -> Process:
    return Process(sys.executable, str(here / "worker.py"), group, topic)


def typescript_worker() -> Process:
    main = str(here / "../../dist/src/main.js")
    return Process("node", main, "consume", topic, "--group", group, "-f", r"%p %o %v\n")


class Source:
    """Goes on producing to all partitions until it is stopped."""

    def __init__(self):
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._produce, daemon=True)
        self._thread.start()

    def _produce(self) -> None:
        producer = Producer(channel, topic)
        number = 0
        while not self._stopping.is_set():
            producer.send(b"key-%d" % (number % 50), b"%d" % number)
            number += 1

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()


def described() -> group_service_pb2.DescribeGroupResponse:
    return groups.DescribeGroup(group_service_pb2.DescribeGroupRequest(group_id=group), timeout=TIMEOUT)


def assigned() -> list[set[int]]:
    """What each member has, says the coordinator, once nothing has to move; else nothing."""
    answer = described()
    if answer.state != group_service_pb2.GROUP_STATE_STABLE:
        return []
    return [{p for a in member.assignment for p in a.partitions} for member in answer.members]


def in_steady_state(*workers: Process) -> bool:
    """The coordinator and the workers say the same."""
    return sorted(map(sorted, assigned())) == sorted(sorted(worker.holds) for worker in workers)


def disjoint_and_whole(*workers: Process) -> bool:
    return sorted(p for worker in workers for p in worker.holds) == list(range(PARTITIONS))


def ends() -> dict[int, int]:
    answer = log.ListOffsets(log_service_pb2.ListOffsetsRequest(topic=topic), timeout=TIMEOUT)
    return {p.partition: p.high_watermark for p in answer.partitions}


def committed() -> dict[int, int]:
    request = group_service_pb2.FetchOffsetsRequest(group_id=group, topics=[group_service_pb2.TopicPartitions(topic=topic)])
    return {c.partition: c.offset for c in groups.FetchOffsets(request, timeout=TIMEOUT).offsets if c.HasField("offset")}


def goes_on(*workers: Process) -> None:
    """Until each has processed some more."""
    least = [(worker, len(worker.done) + SOME) for worker in workers]
    wait_until("each worker goes on", lambda: all(len(worker.done) >= count for worker, count in least))


def share(workers: list[Process], sources: list[Source]) -> None:
    everything = set(range(PARTITIONS))
    python = python_worker()
    workers.append(python)
    wait_until("the Python worker has all partitions", lambda: python.holds == everything and assigned() == [everything])

    # Somebody ends its membership behind its back.
    member = group_service_pb2.MemberHeartbeat(group_id=group, member_id=described().members[0].member_id, member_epoch=-1)
    groups.Heartbeat(group_service_pb2.HeartbeatRequest(heartbeat=member), timeout=TIMEOUT)
    wait_until("it gives up all", lambda: any(line.startswith("lost ") for line in python.said))
    wait_until("it has joined again", lambda: python.holds == everything)
    checks.that("a worker that was thrown out joins again", True)

    sources.append(Source())
    goes_on(python)
    first, second = typescript_worker(), typescript_worker()
    workers += [first, second]
    wait_until("three workers share", lambda: all(w.holds for w in workers) and in_steady_state(*workers))
    checks.that("each partition has one owner among Python and TypeScript", disjoint_and_whole(*workers), [w.holds for w in workers])
    checks.that("and each worker has its share", all(len(w.holds) == 2 for w in workers), [w.holds for w in workers])
    goes_on(*workers)

    left = set(first.holds)
    first.end(signal.SIGKILL)
    wait_until("two workers take over", lambda: len(assigned()) == 2 and in_steady_state(python, second))
    checks.that("each partition of the killed worker has a new owner", disjoint_and_whole(python, second), python.holds, second.holds)
    goes_on(python, second)
    sources.pop().stop()
    wait_until("all is processed and committed", lambda: committed() == ends())

    codes = [python.end(signal.SIGTERM), second.end(signal.SIGTERM)]
    checks.that("both workers end well", codes == [0, 0], codes, python.said, second.said)
    checks.that("and have left the group", described().state == group_service_pb2.GROUP_STATE_EMPTY, described())

    times = Counter(record for worker in workers for record in worker.done)
    expected = {(partition, offset) for partition, end in ends().items() for offset in range(end)}
    missing = expected - set(times)
    twice = {record for record, count in times.items() if count > 1}
    moved = sorted(record for record in twice if record[0] not in left)
    checks.that(f"each of {len(expected)} records was processed", not missing and expected == set(times), sorted(missing)[:10])
    checks.that(f"{len(twice)} were processed twice, all of the killed worker's partitions {sorted(left)}", not moved, moved[:10])
    for worker in (python, second):
        checks.that("no worker processed a record twice, or out of order", in_order(worker.done), worker.done[:10])
    checks.that("what is committed is where the partitions end", committed() == ends(), committed(), ends())


def in_order(done: list[tuple[int, int]]) -> bool:
    newest: dict[int, int] = {}
    for partition, offset in done:
        if offset <= newest.get(partition, -1):
            return False
        newest[partition] = offset
    return True


def wait_until(what: str, holds) -> None:
    give_up = time.monotonic() + TIMEOUT
    while not holds():
        if time.monotonic() > give_up:
            raise TimeoutError(f"in {TIMEOUT} s it did not come true that {what}")
        time.sleep(0.02)


def shared_group() -> None:
    workers: list[Process] = []
    sources: list[Source] = []
    try:
        share(workers, sources)
    finally:
        for source in sources:
            source.stop()
        for worker in workers:
            worker.end(signal.SIGKILL)
            if checks.failed > 0 or sys.exc_info()[0] is not None:
                print("".join(worker.said[-20:]))


def main() -> int:
    # What was started ends also when this is told to stop.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    admin.CreateTopic(admin_service_pb2.CreateTopicRequest(name=topic, partitions=PARTITIONS), timeout=TIMEOUT, wait_for_ready=True)
    checks.run(shared_group)
    admin.DeleteTopic(admin_service_pb2.DeleteTopicRequest(name=topic), timeout=TIMEOUT)
    channel.close()
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 0 if checks.failed == 0 and checks.passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
