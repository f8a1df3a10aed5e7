package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"peers/pb/bidirectional"
	"peers/pb/bidirectional/bidirectionalconnect"
	greet "peers/pb/greetings"
	"peers/pb/greetings/greetingsconnect"
	"peers/pb/unary"
	"peers/pb/unary/unaryconnect"
)

var holi = &greet.RequestMessage{MessageType: "Holi", Year: 2021}

// many is a batch of 1,000, the most that one may have.
func many() *greet.BatchRequestMessage {
	batch := &greet.BatchRequestMessage{}
	for range 1000 {
		batch.Requests = append(batch.Requests, holi)
	}
	return batch
}

func greetings() {
	client := greet.NewGreetingsGeneratorClient(dial(at("DUAL")))
	for name, options := range map[string][]grpc.CallOption{"plain": nil, "gzip": {grpc.UseCompressor(gzip.Name)}} {
		check("grpc-go dual-mode: a greeting, "+name, func(ctx context.Context) error {
			answer, err := client.GRPCGetGreetings(ctx, holi, options...)
			if err == nil && !answer.MessageReceived {
				err = errors.New("it is another answer")
			}
			return err
		})
		check("grpc-go dual-mode: a batch of 1,000, "+name, func(ctx context.Context) error {
			answer, err := client.GRPCGetGreetingsBatch(ctx, many(), options...)
			if err == nil && len(answer.Responses) != 1000 {
				err = fmt.Errorf("%d answers", len(answer.Responses))
			}
			return err
		})
	}
	check("grpc-go dual-mode: too large is RESOURCE_EXHAUSTED", func(ctx context.Context) error {
		for _, size := range []int{4 << 20, 64 << 20} {
			_, err := client.GRPCGetGreetings(ctx, &greet.RequestMessage{MessageType: strings.Repeat("a", size)})
			if err := want(err, codes.ResourceExhausted); err != nil {
				return err
			}
		}
		return nil
	})
	check("grpc-go dual-mode: an error names its field", func(ctx context.Context) error {
		_, err := client.GRPCGetGreetings(ctx, &greet.RequestMessage{MessageType: "Holi"})
		if err := want(err, codes.InvalidArgument); err != nil {
			return err
		}
		for _, detail := range status.Convert(err).Details() {
			if bad, ok := detail.(*errdetails.BadRequest); ok && bad.FieldViolations[0].Field == "year" {
				return nil
			}
		}
		return fmt.Errorf("no BadRequest: %v", status.Convert(err).Details())
	})
	check("grpc-go dual-mode: metadata of any kind; the request id comes back", func(ctx context.Context) error {
		var head metadata.MD
		ctx = metadata.AppendToOutgoingContext(ctx, "x-request-id", "abc-1", "x-bytes-bin", "\x00\xff\n", "x-twice", "a", "x-twice", "b")
		_, err := client.GRPCGetGreetings(ctx, holi, grpc.Header(&head))
		if id := head.Get("x-request-id"); err == nil && (len(id) != 1 || id[0] != "abc-1") {
			err = fmt.Errorf("the head is %v", head)
		}
		return err
	})
}

func connectCalls() {
	h2c := &http.Transport{Protocols: new(http.Protocols)}
	h2c.Protocols.SetUnencryptedHTTP2(true)
	http2, http1 := &http.Client{Transport: h2c}, &http.Client{}
	grpcWeb, zipped := connect.WithGRPCWeb(), connect.WithSendGzip()
	for _, way := range []struct {
		name    string
		client  *http.Client
		options []connect.ClientOption
	}{
		{"gRPC", http2, []connect.ClientOption{connect.WithGRPC()}},
		{"gRPC, gzip", http2, []connect.ClientOption{connect.WithGRPC(), zipped}},
		{"gRPC-Web, HTTP/2", http2, []connect.ClientOption{grpcWeb}},
		{"gRPC-Web, HTTP/1.1", http1, []connect.ClientOption{grpcWeb}},
		{"gRPC-Web, HTTP/1.1, gzip", http1, []connect.ClientOption{grpcWeb, zipped}},
	} {
		client := greetingsconnect.NewGreetingsGeneratorClient(way.client, "http://"+at("DUAL"), way.options...)
		check("connect-go dual-mode, "+way.name+": a greeting", func(ctx context.Context) error {
			_, err := client.GRPCGetGreetings(ctx, connect.NewRequest(holi))
			return err
		})
		check("connect-go dual-mode, "+way.name+": a batch of 1,000", func(ctx context.Context) error {
			answer, err := client.GRPCGetGreetingsBatch(ctx, connect.NewRequest(many()))
			if err == nil && len(answer.Msg.Responses) != 1000 {
				err = fmt.Errorf("%d answers", len(answer.Msg.Responses))
			}
			return err
		})
		check("connect-go dual-mode, "+way.name+": an error with details", func(ctx context.Context) error {
			_, err := client.GRPCGetGreetings(ctx, connect.NewRequest(&greet.RequestMessage{MessageType: "Holi"}))
			var failure *connect.Error
			if !errors.As(err, &failure) || failure.Code() != connect.CodeInvalidArgument || len(failure.Details()) < 2 {
				return fmt.Errorf("another error: %v", err)
			}
			return nil
		})
		check("connect-go dual-mode, "+way.name+": too large", func(ctx context.Context) error {
			large := &greet.RequestMessage{MessageType: strings.Repeat("a", 5<<20)}
			_, err := client.GRPCGetGreetings(ctx, connect.NewRequest(large))
			if connect.CodeOf(err) != connect.CodeResourceExhausted {
				return fmt.Errorf("another error: %v", err)
			}
			return nil
		})
	}
	check("connect-go unary, gRPC", func(ctx context.Context) error {
		client := unaryconnect.NewUnaryClient(http2, "http://"+at("UNARY"), connect.WithGRPC())
		_, err := client.GetServerResponse(ctx, connect.NewRequest(&unary.Message{Message: "x"}))
		return err
	})
	check("connect-go EACH, gRPC: write 1, read 1, 50 times", func(ctx context.Context) error {
		client := bidirectionalconnect.NewBidirectionalClient(http2, "http://"+at("EACH"), connect.WithGRPC())
		s := client.GetServerResponse(ctx)
		for i := range 50 {
			if err := s.Send(&bidirectional.Message{Message: fmt.Sprint(i)}); err != nil {
				return err
			}
			if _, err := s.Receive(); err != nil {
				return err
			}
		}
		if err := s.CloseRequest(); err != nil {
			return err
		}
		if _, err := s.Receive(); !errors.Is(err, io.EOF) {
			return fmt.Errorf("the stream does not end: %v", err)
		}
		return nil
	})
}
