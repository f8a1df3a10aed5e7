package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"google.golang.org/grpc/interop/grpc_testing"
)

// manyMessages is what ends honest connections where frames are counted and not weighed.
func manyMessages() {
	check("grpc-go EACH: 20,000 messages of 5 bytes, 20 of 20", func(ctx context.Context) error {
		for run := range 20 {
			s, err := open(ctx, at("EACH"))
			if err == nil {
				err = apart(s, 20_000, "hello")
			}
			if err != nil {
				return fmt.Errorf("run %d: %w", run, err)
			}
		}
		return nil
	})
	check("grpc-go TestService: 20,000 of 5 bytes to a slower handler, 20 of 20", func(ctx context.Context) error {
		var runs sync.WaitGroup
		errs := make([]error, 20)
		for i := range errs {
			// The handler sleeps: side by side they take no longer than one.
			runs.Go(func() { errs[i] = slowly(ctx, 20_000) })
		}
		runs.Wait()
		return errors.Join(errs...)
	})
}

// slowly sends n messages of 5 bytes at once to a handler that takes a moment for every tenth.
func slowly(ctx context.Context, n int) error {
	connection := dial(at("TESTING"))
	defer connection.Close()
	s, err := grpc_testing.NewTestServiceClient(connection).FullDuplexCall(ctx)
	if err != nil {
		return err
	}
	quick := &grpc_testing.StreamingOutputCallRequest{Payload: &grpc_testing.Payload{Body: []byte("x")}}
	// It asks for an answer after a microsecond, which a timer makes a millisecond.
	parameters := []*grpc_testing.ResponseParameters{{Size: 1, IntervalUs: 1}}
	waiting := &grpc_testing.StreamingOutputCallRequest{ResponseParameters: parameters}
	go func() {
		for i := range n {
			request := quick
			if i%10 == 0 {
				request = waiting
			}
			if s.Send(request) != nil {
				return
			}
		}
		s.CloseSend()
	}()
	for i := 0; ; i++ {
		switch _, err := s.Recv(); {
		case err == io.EOF && i == n/10:
			return nil
		case err != nil:
			return fmt.Errorf("after %d answers of %d: %w", i, n/10, err)
		}
	}
}
