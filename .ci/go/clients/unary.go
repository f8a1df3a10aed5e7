package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"peers/pb/unary"
)

// largest is the text of the largest message that is taken, with its tag and length of five bytes.
const largest = 4<<20 - 5

func unaryCalls() {
	client := unary.NewUnaryClient(dial(at("UNARY"), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(8<<20))))
	ask := func(ctx context.Context, text string, options ...grpc.CallOption) error {
		answer, err := client.GetServerResponse(ctx, &unary.Message{Message: text}, options...)
		if err == nil && !(answer.Received && strings.Contains(answer.Message, `"`+text+`"`)) {
			err = errors.New("it is another answer")
		}
		return err
	}
	for name, text := range map[string]string{
		"no text":             "",
		"a text":              "hi",
		"2 MiB":               strings.Repeat("ä", 1<<20),
		"the largest message": strings.Repeat("a", largest),
	} {
		check("grpc-go unary: "+name, func(ctx context.Context) error { return ask(ctx, text) })
	}
	check("grpc-go unary: too large is RESOURCE_EXHAUSTED", func(ctx context.Context) error {
		return want(ask(ctx, strings.Repeat("a", largest+1)), codes.ResourceExhausted)
	})
	check("grpc-go unary: 64 MiB is RESOURCE_EXHAUSTED", func(ctx context.Context) error {
		return want(ask(ctx, strings.Repeat("a", 64<<20)), codes.ResourceExhausted)
	})
	check("grpc-go unary: gzip", func(ctx context.Context) error {
		return ask(ctx, strings.Repeat("a", 10_000), grpc.UseCompressor(gzip.Name))
	})
	check("grpc-go unary: a deadline that has passed", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, time.Microsecond)
		defer cancel()
		return want(ask(ctx, ""), codes.DeadlineExceeded)
	})
	check("grpc-go unary: 15 KiB of metadata", func(ctx context.Context) error {
		return ask(metadata.AppendToOutgoingContext(ctx, "x-large", strings.Repeat("v", 15_000)), "hi")
	})
	check("grpc-go unary: too much metadata is refused, and the connection goes on", func(ctx context.Context) error {
		large := metadata.AppendToOutgoingContext(ctx, "x-large", strings.Repeat("v", 20_000))
		if ask(large, "hi") == nil {
			return errors.New("it was taken")
		}
		return ask(ctx, "hi")
	})
	check("grpc-go: unknown methods and services are UNIMPLEMENTED", func(ctx context.Context) error {
		for _, server := range []string{"UNARY", "EACH", "DUAL"} {
			connection := dial(at(server))
			for _, method := range []string{"/unary.Unary/Nope", "/nope.Nope/Nope", "/bidirectional.Bidirectional/Nope"} {
				err := connection.Invoke(ctx, method, &unary.Message{}, &unary.Message{})
				if err := want(err, codes.Unimplemented); err != nil {
					return fmt.Errorf("%s %s: %w", server, method, err)
				}
			}
		}
		return nil
	})
	check("grpc-go unary: 1,000 calls at once on one connection", func(ctx context.Context) error {
		var calls sync.WaitGroup
		errs := make([]error, 1000)
		for i := range errs {
			calls.Go(func() { errs[i] = ask(ctx, "x") })
		}
		calls.Wait()
		return errors.Join(errs...)
	})
	check("grpc-go unary: a server that comes later is waited for", func(ctx context.Context) error {
		socket, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		address := socket.Addr().String()
		socket.Close()
		connection := dial(address)
		answered := make(chan error, 1)
		go func() {
			_, err := unary.NewUnaryClient(connection).GetServerResponse(ctx, &unary.Message{}, grpc.WaitForReady(true))
			answered <- err
		}()
		time.Sleep(1500 * time.Millisecond)
		if socket, err = net.Listen("tcp", address); err != nil {
			return err
		}
		defer socket.Close()
		go relay(socket, at("UNARY"))
		return <-answered
	})
}

// relay hands on what comes at socket to the server at address.
func relay(socket net.Listener, address string) {
	for {
		caller, err := socket.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", address)
		if err != nil {
			return
		}
		go io.Copy(caller, server)
		go io.Copy(server, caller)
	}
}
