// Calls dual-mode by grpc-go until standard input closes, and says how often which answer came:
//
//	load ADDRESS...            16 callers on 4 connections, each of which takes the addresses in turn
//	load --stream ADDRESS      streams of many messages to bidirectional, once
//
// It needs no contract: messages are bytes. Exits with 1 if anything but success came.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/status"
)

const (
	greeting = "/rest_grpc_dual_mode.GreetingsGenerator/GRPCGetGreetings"
	both     = "/bidirectional.Bidirectional/GetServerResponse"
	// patience ends only calls that hang.
	patience = time.Minute
)

var (
	// messageType Holi, year 2021.
	holi = []byte("\x12\x04Holi\x18\xe5\x0f")
	// A message of five bytes.
	hello = []byte("\x0a\x05hello")
)

// raw hands on messages as they are.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(message any) ([]byte, error) { return *message.(*[]byte), nil }

func (raw) Unmarshal(data []byte, message any) error {
	*message.(*[]byte) = bytes.Clone(data)
	return nil
}

// dial takes addresses in turn, as a client does whose DNS has several.
func dial(addresses []string) *grpc.ClientConn {
	replicas := manual.NewBuilderWithScheme("replicas")
	var state resolver.State
	for _, address := range addresses {
		state.Addresses = append(state.Addresses, resolver.Address{Addr: address})
	}
	replicas.InitialState(state)
	connection, err := grpc.NewClient("replicas:///all",
		grpc.WithResolvers(replicas),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig": [{"round_robin": {}}]}`),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{})))
	if err != nil {
		panic(err)
	}
	return connection
}

func main() {
	failed := false
	switch {
	case len(os.Args) == 3 && os.Args[1] == "--stream":
		failed = streams(os.Args[2])
	case len(os.Args) > 1:
		failed = load(os.Args[1:])
	default:
		fmt.Fprintln(os.Stderr, "usage: load ADDRESS... | load --stream ADDRESS")
		os.Exit(2)
	}
	if failed {
		os.Exit(1)
	}
}

func load(addresses []string) bool {
	var over atomic.Bool
	var lock sync.Mutex
	var callers sync.WaitGroup
	seen := map[string]int{}
	for range 4 {
		connection := dial(addresses)
		for range 4 {
			callers.Go(func() {
				for !over.Load() {
					outcome := call(connection)
					lock.Lock()
					seen[outcome]++
					lock.Unlock()
				}
			})
		}
	}
	io.Copy(io.Discard, os.Stdin)
	over.Store(true)
	callers.Wait()
	fmt.Println("      grpc-go:", seen)
	return len(seen) != 1 || seen["answered"] == 0
}

func call(connection *grpc.ClientConn) string {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var answer []byte
	if err := connection.Invoke(ctx, greeting, &holi, &answer); err != nil {
		return fmt.Sprintf("%v: %s", status.Code(err), status.Convert(err).Message())
	}
	if len(answer) == 0 {
		return "an empty answer"
	}
	return "answered"
}

// streams says for each kind of stream how it went.
func streams(address string) bool {
	connection := dial([]string{address})
	failed := false
	for _, kind := range []struct {
		name string
		run  func(stream grpc.ClientStream) error
	}{
		{"write 1, read 1, 200 times", lockstep},
		{"20,000 messages at once, read as they come", apart},
	} {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		stream, err := connection.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, both)
		if err == nil {
			err = kind.run(stream)
		}
		cancel()
		if err != nil {
			failed = true
			fmt.Printf("FAIL grpc-go      %-44s %v\n", kind.name, err)
			continue
		}
		fmt.Printf("ok   grpc-go      %s\n", kind.name)
	}
	return failed
}

func lockstep(stream grpc.ClientStream) error {
	for at := range 200 {
		if err := stream.SendMsg(&hello); err != nil {
			return err
		}
		if err := receive(stream, at); err != nil {
			return err
		}
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	return ended(stream)
}

func apart(stream grpc.ClientStream) error {
	const messages = 20_000
	sent := make(chan error, 1)
	go func() {
		for range messages {
			if err := stream.SendMsg(&hello); err != nil {
				sent <- err
				return
			}
		}
		sent <- stream.CloseSend()
	}()
	for at := range messages {
		if err := receive(stream, at); err != nil {
			return err
		}
	}
	return errors.Join(<-sent, ended(stream))
}

func receive(stream grpc.ClientStream, at int) error {
	var answer []byte
	if err := stream.RecvMsg(&answer); err != nil {
		return fmt.Errorf("after %d answers: %w", at, err)
	}
	if !bytes.Equal(answer, hello) {
		return fmt.Errorf("answer %d is %q", at, answer)
	}
	return nil
}

func ended(stream grpc.ClientStream) error {
	var answer []byte
	if err := stream.RecvMsg(&answer); err != io.EOF {
		return fmt.Errorf("the stream does not end: %v", err)
	}
	return nil
}
