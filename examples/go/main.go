// Millrace from Go, by the generated stubs alone. Each part shows one thing and checks it against a running broker.
package main

//go:generate ../../node_modules/.bin/buf generate

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	millrace "example.com/millrace-example/gen/millrace/v1"
)

const (
	timeout    = 15 * time.Second
	partitions = 6
)

// example is what the parts share.
type example struct {
	*checks
	ctx    context.Context
	broker string
	topic  string
	conn   *grpc.ClientConn
	log    millrace.LogServiceClient
}

func main() {
	failed, err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	if failed > 0 || err != nil {
		os.Exit(1)
	}
}

func run() (failed int, err error) {
	broker, _, _ := strings.Cut(cmp.Or(os.Getenv("MILLRACE_BROKERS"), "127.0.0.1:7400"), ",")
	conn, err := connect(broker)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*timeout)
	defer cancel()

	admin := millrace.NewAdminServiceClient(conn)
	topic := fmt.Sprintf("go-%d", time.Now().UnixNano())
	if _, err := admin.CreateTopic(ctx, &millrace.CreateTopicRequest{Name: topic, Partitions: partitions}, grpc.WaitForReady(true)); err != nil {
		return 0, err
	}
	e := example{checks: &checks{}, ctx: ctx, broker: broker, topic: topic, conn: conn, log: millrace.NewLogServiceClient(conn)}
	e.run("partitioner", e.partitioner)
	e.run("keyed produce", e.keyedProduce)
	e.run("subscribe", e.subscribe)
	e.run("retry after a reset", e.retryAfterReset)
	e.run("retry after a deadline", e.retryAfterDeadline)
	e.run("long poll", e.longPoll)
	e.run("error details", e.errorDetails)
	e.run("retry info", e.retryInfo)
	e.run("deadline", e.deadline)
	if _, err := admin.DeleteTopic(ctx, &millrace.DeleteTopicRequest{Name: topic}); err != nil {
		return 0, err
	}
	fmt.Printf("%d passed, %d failed\n", e.passed, e.failed)
	return e.failed, nil
}

func connect(address string) (*grpc.ClientConn, error) {
	return grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
}

// endOf is the offset after the last committed record.
func (e *example) endOf(partition int32) (int64, error) {
	ends, err := e.log.ListOffsets(e.ctx, &millrace.ListOffsetsRequest{Topic: e.topic, Partitions: []int32{partition}})
	if err != nil {
		return 0, err
	}
	return ends.GetPartitions()[0].GetHighWatermark(), nil
}

// waitForEnd returns once the log of a partition ends at this offset.
func (e *example) waitForEnd(partition int32, offset int64) error {
	for began := time.Now(); time.Since(began) < timeout; time.Sleep(20 * time.Millisecond) {
		if end, err := e.endOf(partition); err != nil || end == offset {
			return err
		}
	}
	return fmt.Errorf("partition %d did not reach offset %d in time", partition, offset)
}
