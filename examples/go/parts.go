package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	millrace "example.com/millrace-example/gen/millrace/v1"
)

func (e *example) partitioner() error {
	text, err := os.ReadFile("../../docs/partitioner.json")
	if err != nil {
		return err
	}
	var page struct {
		PartitionCounts []int `json:"partition_counts"`
		Vectors         []struct {
			KeyHex     string  `json:"key_hex"`
			Murmur2    int32   `json:"murmur2"`
			Partitions []int32 `json:"partitions"`
		} `json:"vectors"`
	}
	if err := json.Unmarshal(text, &page); err != nil {
		return err
	}
	for _, vector := range page.Vectors {
		key, err := hex.DecodeString(vector.KeyHex)
		if err != nil {
			return err
		}
		var chosen []int32
		for _, count := range page.PartitionCounts {
			chosen = append(chosen, partitionOf(key, count))
		}
		right := slices.Equal(chosen, vector.Partitions) && int32(murmur2(key)) == vector.Murmur2
		e.that(fmt.Sprintf("the key %q goes where docs/partitioner.json says", key), right, chosen, vector)
	}
	return nil
}

func (e *example) keyedProduce() error {
	p, err := newProducer(e.ctx, e.conn, e.topic)
	if err != nil {
		return err
	}
	for n := range 20 {
		response, err := p.send(e.ctx, fmt.Appendf(nil, "user-%d", n%4), []byte(strconv.Itoa(n)))
		if err != nil {
			return err
		}
		if n < 4 {
			e.that(fmt.Sprintf("record %d is acknowledged by brokers that have it on disk", n), len(response.GetDurableBrokerIds()) > 0, response)
			e.that("and its answer is not called a duplicate", !response.GetDuplicate())
		}
	}
	return nil
}

// subscribe reads what keyedProduce wrote, from the start to where the log ends now.
func (e *example) subscribe() error {
	ctx, cancel := context.WithTimeout(e.ctx, timeout)
	defer cancel()
	request := &millrace.SubscribeRequest{Topic: e.topic}
	for partition := range int32(partitions) {
		request.Partitions = append(request.Partitions, &millrace.SubscribeStart{
			Partition: partition,
			To:        &millrace.SubscribeStart_UntilEnd{UntilEnd: true},
		})
	}
	stream, err := e.log.Subscribe(ctx, request)
	if err != nil {
		return err
	}
	values := map[string][]string{}
	done := 0
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		for _, batch := range message.GetBatches() {
			for _, record := range batch.GetRecords().GetRecords() {
				if partitionOf(record.GetKey(), partitions) != message.GetPartition() {
					e.that("a record is in the partition of its key", false, record, message.GetPartition())
				}
				values[string(record.GetKey())] = append(values[string(record.GetKey())], string(record.GetValue()))
			}
		}
		if message.GetDone() {
			done++
		}
	}
	for user := range 4 {
		var expected []string
		for n := user; n < 20; n += 4 {
			expected = append(expected, strconv.Itoa(n))
		}
		key := fmt.Sprintf("user-%d", user)
		e.that(fmt.Sprintf("a subscription brings every record of %s once, in order", key), slices.Equal(values[key], expected), values[key])
	}
	e.that("and ends when every partition has reached its end", done == partitions, done)
	return nil
}

// lossyProducer is a producer behind a link that can lose answers; hangUp closes both.
func (e *example) lossyProducer() (link *lossyLink, p *producer, hangUp func(), err error) {
	link, lossy, err := e.lossyConnection()
	if err != nil {
		return nil, nil, nil, err
	}
	hangUp = func() {
		lossy.Close()
		link.close()
	}
	p, err = newProducer(e.ctx, lossy, e.topic)
	if err != nil {
		hangUp()
		return nil, nil, nil, err
	}
	return link, p, hangUp, nil
}

// retryAfterReset: the broker has written the record, the connection is reset before its answer arrives.
func (e *example) retryAfterReset() error {
	link, p, hangUp, err := e.lossyProducer()
	if err != nil {
		return err
	}
	defer hangUp()
	key := []byte("reset")
	partition := partitionOf(key, partitions)
	first, err := p.send(e.ctx, key, []byte("first"))
	if err != nil {
		return err
	}
	link.loseAnswers()
	type outcome struct {
		response *millrace.ProduceResponse
		err      error
	}
	sending := make(chan outcome, 1)
	go func() {
		response, err := p.send(e.ctx, key, []byte("second"))
		sending <- outcome{response, err}
	}()
	if err := e.waitForEnd(partition, first.GetBaseOffset()+2); err != nil {
		return err
	}
	e.that("the record is in the log and its producer does not know", len(sending) == 0)
	link.reset()
	second := <-sending
	if second.err != nil {
		return second.err
	}
	e.that("after the reset it is sent again, and the answer says duplicate", second.response.GetDuplicate(), second.response)
	e.that("with the offset of the first time", second.response.GetBaseOffset() == first.GetBaseOffset()+1, second.response)
	end, err := e.endOf(partition)
	e.that("the log has it once", err == nil && end == first.GetBaseOffset()+2, end, err)
	third, err := p.send(e.ctx, key, []byte("third"))
	e.that("the next record follows", err == nil && third.GetBaseOffset() == first.GetBaseOffset()+2 && !third.GetDuplicate(), third, err)
	return nil
}

// retryAfterDeadline: a deadline that passes says nothing about the outcome.
func (e *example) retryAfterDeadline() error {
	link, p, hangUp, err := e.lossyProducer()
	if err != nil {
		return err
	}
	defer hangUp()
	request := p.request([]byte("deadline"), []byte("once"))
	before, err := e.endOf(request.GetPartition())
	if err != nil {
		return err
	}
	link.loseAnswers()
	short, cancel := context.WithTimeout(e.ctx, time.Second)
	defer cancel()
	_, err = p.log.Produce(short, request)
	why := failureOf(err)
	e.that("the deadline ends the call", why.code == codes.DeadlineExceeded, err)
	e.that("the outcome is unknown, and it may be sent again", why.again() && !why.outcomeKnown(), why)
	if err := e.waitForEnd(request.GetPartition(), before+1); err != nil {
		return err
	}
	link.reset()
	response, err := p.deliver(e.ctx, request)
	if err != nil {
		return err
	}
	e.that("sent again it is a duplicate at the same offset", response.GetDuplicate() && response.GetBaseOffset() == before, response)
	end, err := e.endOf(request.GetPartition())
	e.that("the log has it once", err == nil && end == before+1, end, err)
	return nil
}

func (e *example) longPoll() error {
	p, err := newProducer(e.ctx, e.conn, e.topic)
	if err != nil {
		return err
	}
	key := []byte("long poll")
	partition := partitionOf(key, partitions)
	end, err := e.endOf(partition)
	if err != nil {
		return err
	}
	type outcome struct {
		response *millrace.FetchResponse
		err      error
	}
	polling := make(chan outcome, 1)
	go func() {
		request := &millrace.FetchRequest{Topic: e.topic, Partition: partition, Offset: end, MaxWaitMs: int32(timeout.Milliseconds())}
		response, err := e.log.Fetch(e.ctx, request)
		polling <- outcome{response, err}
	}()
	time.Sleep(300 * time.Millisecond)
	e.that("a fetch at the end waits", len(polling) == 0)
	sent, err := p.send(e.ctx, key, []byte("news"))
	if err != nil {
		return err
	}
	polled := <-polling
	if polled.err != nil {
		return polled.err
	}
	batches := polled.response.GetBatches()
	e.that("until there is a record", len(batches) == 1 && string(batches[0].GetRecords().GetRecords()[0].GetValue()) == "news", polled.response)
	e.that("and says where to go on", polled.response.GetNextOffset() == sent.GetBaseOffset()+1, polled.response)

	request := &millrace.FetchRequest{Topic: e.topic, Partition: partition, Offset: polled.response.GetNextOffset(), MaxWaitMs: 200}
	empty, err := e.log.Fetch(e.ctx, request)
	e.that("or max_wait_ms is over", err == nil && len(empty.GetBatches()) == 0 && empty.GetNextOffset() == request.GetOffset(), empty, err)
	return nil
}

func (e *example) errorDetails() error {
	_, err := e.log.Fetch(e.ctx, &millrace.FetchRequest{Topic: "no-such-topic"})
	why := failureOf(err)
	e.that("an unknown topic is NotFound", why.code == codes.NotFound, err)
	e.that("with a reason that programs can read", why.reason == "UNKNOWN_TOPIC", why)
	e.that("nothing was written, and sending it again is of no use", why.outcomeKnown() && !why.again(), why)

	_, err = e.log.Fetch(e.ctx, &millrace.FetchRequest{Topic: e.topic, Offset: 1_000_000})
	why = failureOf(err)
	end, err := e.endOf(0)
	e.that("an offset beyond the end is OFFSET_OUT_OF_RANGE", why.reason == "OFFSET_OUT_OF_RANGE", why)
	e.that("and the range comes with it", err == nil && why.metadata["high_watermark"] == strconv.FormatInt(end, 10), why, end, err)

	p, err := newProducer(e.ctx, e.conn, e.topic)
	if err != nil {
		return err
	}
	request := p.request([]byte("gap"), nil)
	if _, err := e.log.Produce(e.ctx, request); err != nil {
		return err
	}
	request.BaseSequence = 7
	_, err = e.log.Produce(e.ctx, request)
	why = failureOf(err)
	e.that("a gap in the sequence is OUT_OF_ORDER_SEQUENCE", why.reason == "OUT_OF_ORDER_SEQUENCE", why)
	e.that("and the right number comes with it", why.metadata["expected_sequence"] == "1", why)
	return nil
}

// retryInfo: a broker that waits for its cluster says when to ask again. It needs the address of one that does: examples/run has one.
func (e *example) retryInfo() error {
	waiting := os.Getenv("MILLRACE_WAITING_BROKER")
	if waiting == "" {
		fmt.Println("not run: retry info (MILLRACE_WAITING_BROKER names no broker that waits for its cluster)")
		return nil
	}
	conn, err := connect(waiting)
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(e.ctx, timeout)
	defer cancel()
	_, err = millrace.NewLogServiceClient(conn).InitProducer(ctx, &millrace.InitProducerRequest{})
	why := failureOf(err)
	e.that("a broker without its cluster is NOT_READY", why.reason == "NOT_READY", err)
	e.that("RetryInfo says when to try again", why.retryAfter > 0 && why.retryAfter < 10*time.Second, why)
	e.that("and nothing was written", why.again() && why.outcomeKnown(), why)
	return nil
}

// deadline: a subscription without an end lasts as long as its deadline.
func (e *example) deadline() error {
	began := time.Now()
	ctx, cancel := context.WithTimeout(e.ctx, 500*time.Millisecond)
	defer cancel()
	stream, err := e.log.Subscribe(ctx, &millrace.SubscribeRequest{
		Topic:      e.topic,
		Partitions: []*millrace.SubscribeStart{{From: &millrace.SubscribeStart_End{End: true}}},
	})
	for err == nil {
		_, err = stream.Recv()
	}
	e.that("a call ends at its deadline", failureOf(err).code == codes.DeadlineExceeded, err)
	e.that("and not long after", time.Since(began) < timeout)
	return nil
}

func (e *example) lossyConnection() (*lossyLink, *grpc.ClientConn, error) {
	link, err := newLossyLink(e.broker)
	if err != nil {
		return nil, nil, err
	}
	lossy, err := connect(link.address())
	if err != nil {
		link.close()
		return nil, nil, err
	}
	return link, lossy, nil
}
