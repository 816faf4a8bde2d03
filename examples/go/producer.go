package main

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"

	millrace "example.com/millrace-example/gen/millrace/v1"
)

const (
	attemptTimeout  = 5 * time.Second
	deliveryTimeout = 30 * time.Second
	backoffMin      = 50 * time.Millisecond
	backoffMax      = time.Second
)

// producer puts each record into the log once: what may have been written is sent again under the same sequence.
// It is not for several goroutines at once, since sequences must arrive in order.
type producer struct {
	log          millrace.LogServiceClient
	topic        string
	partitions   int
	id           int64
	nextSequence map[int32]int32
}

func newProducer(ctx context.Context, conn grpc.ClientConnInterface, topic string) (*producer, error) {
	log := millrace.NewLogServiceClient(conn)
	described, err := millrace.NewAdminServiceClient(conn).DescribeTopics(ctx, &millrace.DescribeTopicsRequest{Names: []string{topic}})
	if err != nil {
		return nil, fmt.Errorf("describe %s: %w", topic, err)
	}
	given, err := log.InitProducer(ctx, &millrace.InitProducerRequest{})
	if err != nil {
		return nil, fmt.Errorf("take a producer id: %w", err)
	}
	return &producer{
		log:          log,
		topic:        topic,
		partitions:   len(described.GetTopics()[0].GetPartitions()),
		id:           given.GetProducerId(),
		nextSequence: map[int32]int32{},
	}, nil
}

// send returns once the record is durable on every in-sync replica. An error means that it was refused, or not acknowledged in time;
// in the second case it may be in the log: send the same record again, or go on with a new producer.
func (p *producer) send(ctx context.Context, key, value []byte) (*millrace.ProduceResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, deliveryTimeout)
	defer cancel()
	request := p.request(key, value)
	response, err := p.deliver(ctx, request)
	if err != nil {
		return nil, fmt.Errorf("produce to %s-%d: %w", p.topic, request.GetPartition(), err)
	}
	// After 2^31-1 comes 0.
	p.nextSequence[request.GetPartition()] = int32((uint32(request.GetBaseSequence()) + 1) & 0x7fffffff)
	return response, nil
}

func (p *producer) request(key, value []byte) *millrace.ProduceRequest {
	partition := partitionOf(key, p.partitions)
	return &millrace.ProduceRequest{
		Topic:        p.topic,
		Partition:    partition,
		Records:      &millrace.RecordSet{Records: []*millrace.LogRecord{{Key: key, Value: value}}},
		Acks:         millrace.Acks_ACKS_ALL,
		ProducerId:   &p.id,
		BaseSequence: p.nextSequence[partition],
	}
}

// deliver sends one batch until it is acknowledged, refused or the context is over, always under the sequence it has.
func (p *producer) deliver(ctx context.Context, request *millrace.ProduceRequest) (*millrace.ProduceResponse, error) {
	for backoff := backoffMin; ; backoff = min(2*backoff, backoffMax) {
		attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
		response, err := p.log.Produce(attempt, request, grpc.WaitForReady(true))
		cancel()
		if err == nil {
			return response, nil
		}
		why := failureOf(err)
		if !why.again() {
			return nil, err
		}
		pause := backoff
		if why.retryAfter > 0 {
			pause = why.retryAfter
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(pause):
		}
	}
}
