"""Millrace from Python, by the generated stubs alone. Each part shows one thing and checks it against a running broker."""

import json
import os
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from checks import Checks
from failure import failure_of
from lossy_link import LossyLink
from millrace.v1 import admin_service_pb2, admin_service_pb2_grpc, log_service_pb2, log_service_pb2_grpc
from partitioner import murmur2, partition_of
from producer import Producer

TIMEOUT = 15
PARTITIONS = 6

brokers = os.environ.get("MILLRACE_BROKERS", "127.0.0.1:7400").split(",")
topic = f"python-{uuid.uuid4()}"
checks = Checks()
channel = grpc.insecure_channel(brokers[0])
admin = admin_service_pb2_grpc.AdminServiceStub(channel)
log = log_service_pb2_grpc.LogServiceStub(channel)
background = ThreadPoolExecutor()


def partitioner() -> None:
    page = json.loads((Path(__file__).parent / "../../docs/partitioner.json").read_text())
    for vector in page["vectors"]:
        key = bytes.fromhex(vector["key_hex"])
        chosen = [partition_of(key, count) for count in page["partition_counts"]]
        right = chosen == vector["partitions"] and murmur2(key) == vector["murmur2"] & 0xFFFFFFFF
        checks.that(f"the key {vector['key_hex'] or '(empty)'} goes where docs/partitioner.json says", right, chosen, vector)


def keyed_produce() -> None:
    producer = Producer(channel, topic)
    for n in range(20):
        key = b"user-%d" % (n % 4)
        response = producer.send(key, b"%d" % n)
        if n < 4:
            checks.that(f"{key.decode()} is acknowledged by {len(response.durable_broker_ids)} brokers", len(response.durable_broker_ids) > 0)
            checks.that("and its answer is not called a duplicate", not response.duplicate)


def subscribe() -> None:
    """Reads what keyed_produce wrote, from the start to where the log ends now."""
    starts = [log_service_pb2.SubscribeStart(partition=p, until_end=True) for p in range(PARTITIONS)]
    values: dict[bytes, list[int]] = {}
    done = set()
    for message in log.Subscribe(log_service_pb2.SubscribeRequest(topic=topic, partitions=starts), timeout=TIMEOUT):
        for batch in message.batches:
            for record in batch.records.records:
                values.setdefault(record.key, []).append(int(record.value))
                if partition_of(record.key, PARTITIONS) != message.partition:
                    checks.that(f"{record.key} is in its partition", False, message.partition)
        if message.done:
            done.add(message.partition)
    expected = {b"user-%d" % k: list(range(k, 20, 4)) for k in range(4)}
    checks.that("a subscription brings every record once, in order per key, from the key's partition", values == expected, values)
    checks.that("and ends when every partition has reached its end", done == set(range(PARTITIONS)), done)


def retry_after_reset() -> None:
    """The broker has written the record, the connection is reset before its answer arrives."""
    link = LossyLink(brokers[0])
    with grpc.insecure_channel(link.address) as lossy:
        producer = Producer(lossy, topic)
        key = b"reset"
        partition = partition_of(key, PARTITIONS)
        first = producer.send(key, b"first")
        link.lose_answers()
        sending = background.submit(producer.send, key, b"second")
        wait_until(lambda: end_of(partition) == first.base_offset + 2)
        checks.that("the record is in the log and its producer does not know", not sending.done())
        link.reset()
        second = sending.result(TIMEOUT)
        checks.that("after the reset it is sent again, and the answer says duplicate", second.duplicate)
        checks.that("with the offset of the first time", second.base_offset == first.base_offset + 1, second)
        checks.that("the log has it once", end_of(partition) == first.base_offset + 2, end_of(partition))
        third = producer.send(key, b"third")
        checks.that("the next record follows", third.base_offset == first.base_offset + 2 and not third.duplicate, third)


def retry_after_deadline() -> None:
    """A deadline that passes says nothing about the outcome."""
    link = LossyLink(brokers[0])
    with grpc.insecure_channel(link.address) as lossy:
        producer = Producer(lossy, topic)
        request = producer.request(b"deadline", b"once")
        stub = log_service_pb2_grpc.LogServiceStub(lossy)
        before = end_of(request.partition)
        link.lose_answers()
        try:
            stub.Produce(request, timeout=1)
            checks.that("no answer arrives", False)
        except grpc.RpcError as error:
            failure = failure_of(error)
            checks.that("the deadline ends the call", failure.status == grpc.StatusCode.DEADLINE_EXCEEDED, failure)
            checks.that("the outcome is unknown, and it may be sent again", failure.again and not failure.outcome_known, failure)
        wait_until(lambda: end_of(request.partition) == before + 1)
        link.reset()
        response = producer.deliver(request)
        checks.that("sent again it is a duplicate at the same offset", response.duplicate and response.base_offset == before, response)
        checks.that("the log has it once", end_of(request.partition) == before + 1, end_of(request.partition))


def long_poll() -> None:
    producer = Producer(channel, topic)
    key = b"long poll"
    partition = partition_of(key, PARTITIONS)
    request = log_service_pb2.FetchRequest(topic=topic, partition=partition, offset=end_of(partition), max_wait_ms=TIMEOUT * 1000)
    polling = log.Fetch.future(request, timeout=2 * TIMEOUT)
    time.sleep(0.3)
    checks.that("a fetch at the end waits", not polling.done())
    sent = producer.send(key, b"news")
    response = polling.result()
    news = [record.value for batch in response.batches for record in batch.records.records]
    checks.that("until there is a record", news == [b"news"], response)
    checks.that("and says where to go on", response.next_offset == sent.base_offset + 1, response)

    request = log_service_pb2.FetchRequest(topic=topic, partition=partition, offset=response.next_offset, max_wait_ms=200)
    empty = log.Fetch(request, timeout=TIMEOUT)
    checks.that("or max_wait_ms is over", not empty.batches and empty.next_offset == request.offset, empty)


def error_details() -> None:
    failure = failure_when(lambda: log.Fetch(log_service_pb2.FetchRequest(topic="no-such-topic"), timeout=TIMEOUT))
    checks.that("an unknown topic is NOT_FOUND", failure.status == grpc.StatusCode.NOT_FOUND, failure)
    checks.that("with a reason that programs can read", failure.reason == "UNKNOWN_TOPIC", failure)
    checks.that("nothing was written, and sending it again is of no use", failure.outcome_known and not failure.again, failure)

    failure = failure_when(lambda: log.Fetch(log_service_pb2.FetchRequest(topic=topic, offset=1_000_000), timeout=TIMEOUT))
    checks.that("an offset beyond the end is OFFSET_OUT_OF_RANGE", failure.reason == "OFFSET_OUT_OF_RANGE", failure)
    checks.that("and the range comes with it", failure.metadata.get("high_watermark") == str(end_of(0)), failure, end_of(0))

    request = Producer(channel, topic).request(b"gap", b"")
    log.Produce(request, timeout=TIMEOUT)
    request.base_sequence = 7
    failure = failure_when(lambda: log.Produce(request, timeout=TIMEOUT))
    checks.that("a gap in the sequence is OUT_OF_ORDER_SEQUENCE", failure.reason == "OUT_OF_ORDER_SEQUENCE", failure)
    checks.that("and the right number comes with it", failure.metadata.get("expected_sequence") == "1", failure)


def retry_info() -> None:
    """A broker that waits for its cluster says when to ask again. Needs the address of one that does: examples/run has one."""
    waiting = os.environ.get("MILLRACE_WAITING_BROKER")
    if waiting is None:
        print("not run: retry_info (MILLRACE_WAITING_BROKER names no broker that waits for its cluster)")
        return
    with grpc.insecure_channel(waiting) as other:
        stub = log_service_pb2_grpc.LogServiceStub(other)
        failure = failure_when(lambda: stub.InitProducer(log_service_pb2.InitProducerRequest(), timeout=TIMEOUT))
    checks.that("a broker without its cluster is NOT_READY", failure.reason == "NOT_READY", failure)
    checks.that("RetryInfo says when to try again", failure.retry_after is not None and 0 < failure.retry_after < 10, failure)
    checks.that("and nothing was written", failure.again and failure.outcome_known, failure)


def deadline() -> None:
    """A subscription without an end lasts as long as its deadline."""
    began = time.monotonic()
    starts = [log_service_pb2.SubscribeStart(partition=0, end=True)]
    request = log_service_pb2.SubscribeRequest(topic=topic, partitions=starts)
    failure = failure_when(lambda: list(log.Subscribe(request, timeout=0.5)))
    checks.that("a call ends at its deadline", failure.status == grpc.StatusCode.DEADLINE_EXCEEDED, failure)
    checks.that("and not long after", time.monotonic() - began < TIMEOUT)


def end_of(partition: int) -> int:
    request = log_service_pb2.ListOffsetsRequest(topic=topic, partitions=[partition])
    return log.ListOffsets(request, timeout=TIMEOUT).partitions[0].high_watermark


def failure_when(call):
    try:
        call()
    except grpc.RpcError as error:
        return failure_of(error)
    raise AssertionError("the call was expected to fail")


def wait_until(holds) -> None:
    give_up = time.monotonic() + TIMEOUT
    while not holds():
        if time.monotonic() > give_up:
            raise TimeoutError("it did not come true in time")
        time.sleep(0.02)


def main() -> int:
    checks.run(partitioner)
    admin.CreateTopic(admin_service_pb2.CreateTopicRequest(name=topic, partitions=PARTITIONS), timeout=TIMEOUT, wait_for_ready=True)
    for part in (keyed_produce, subscribe, retry_after_reset, retry_after_deadline, long_poll, error_details, retry_info, deadline):
        checks.run(part)
    admin.DeleteTopic(admin_service_pb2.DeleteTopicRequest(name=topic), timeout=TIMEOUT)
    channel.close()
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 0 if checks.failed == 0 and checks.passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
