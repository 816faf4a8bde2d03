"""An idempotent producer of keyed records, one at a time, from nothing but the generated stubs."""

import time
from collections import defaultdict

import grpc
from failure import failure_of
from millrace.v1 import admin_service_pb2, admin_service_pb2_grpc, log_service_pb2, log_service_pb2_grpc, records_pb2
from partitioner import partition_of

_SEQUENCES = 2**31
_BACKOFF_MAX = 1.0


class Producer:
    """Each record lands in the log once: what may have been written is sent again under the same sequence.

    Not for use by several threads at once: sequences must arrive in order.
    """

    def __init__(self, channel: grpc.Channel, topic: str, attempt_timeout: float = 5, delivery_timeout: float = 30):
        admin = admin_service_pb2_grpc.AdminServiceStub(channel)
        self._log = log_service_pb2_grpc.LogServiceStub(channel)
        self._topic = topic
        self._attempt_timeout = attempt_timeout
        self._delivery_timeout = delivery_timeout
        described = admin.DescribeTopics(admin_service_pb2.DescribeTopicsRequest(names=[topic]), timeout=attempt_timeout)
        self.partitions = len(described.topics[0].partitions)
        self._id = self._log.InitProducer(log_service_pb2.InitProducerRequest(), timeout=attempt_timeout).producer_id
        self._next_sequence: dict[int, int] = defaultdict(int)

    def send(self, key: bytes, value: bytes) -> log_service_pb2.ProduceResponse:
        """Returns once the record is durable on every in-sync replica.

        Raises grpc.RpcError when it was refused, or not acknowledged in time. In the second case it may be in the log: send the
        same record again, or go on with a new Producer.
        """
        request = self.request(key, value)
        response = self.deliver(request)
        self._next_sequence[request.partition] = (request.base_sequence + 1) % _SEQUENCES
        return response

    def request(self, key: bytes, value: bytes) -> log_service_pb2.ProduceRequest:
        partition = partition_of(key, self.partitions)
        return log_service_pb2.ProduceRequest(
            topic=self._topic,
            partition=partition,
            records=records_pb2.RecordSet(records=[records_pb2.LogRecord(key=key, value=value)]),
            acks=records_pb2.ACKS_ALL,
            producer_id=self._id,
            base_sequence=self._next_sequence[partition],
        )

    def deliver(self, request: log_service_pb2.ProduceRequest) -> log_service_pb2.ProduceResponse:
        """Sends one batch until it is acknowledged or refused, always under the sequence it has."""
        give_up = time.monotonic() + self._delivery_timeout
        backoff = 0.05
        while True:
            try:
                return self._log.Produce(request, timeout=self._attempt_timeout, wait_for_ready=True)
            except grpc.RpcError as error:
                failure = failure_of(error)
                pause = failure.retry_after or backoff
                if not failure.again or time.monotonic() + pause >= give_up:
                    raise
            time.sleep(pause)
            backoff = min(backoff * 2, _BACKOFF_MAX)
