package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/keepalive"
	"peers/pb/bidirectional"
)

type stream = grpc.BidiStreamingClient[bidirectional.Message, bidirectional.Message]

func open(ctx context.Context, address string, options ...grpc.CallOption) (stream, error) {
	return bidirectional.NewBidirectionalClient(dial(address)).GetServerResponse(ctx, options...)
}

func send(s stream, text string) error { return s.Send(&bidirectional.Message{Message: text}) }

func receive(s stream, text string) error {
	message, err := s.Recv()
	if err == nil && message.Message != text {
		err = fmt.Errorf("%.20q came instead of %.20q", message.Message, text)
	}
	return err
}

// both sends messages first to last, and then receives them.
func both(s stream, first, last int) error {
	for i := first; i <= last; i++ {
		if err := send(s, fmt.Sprint(i)); err != nil {
			return err
		}
	}
	for i := first; i <= last; i++ {
		if err := receive(s, fmt.Sprint(i)); err != nil {
			return err
		}
	}
	return nil
}

// end closes the client's half, and waits for the server's.
func end(s stream) error {
	if err := s.CloseSend(); err != nil {
		return err
	}
	if _, err := s.Recv(); err != io.EOF {
		return fmt.Errorf("the stream does not end: %v", err)
	}
	return nil
}

// apart sends n messages of text while it receives them, and wants them all.
func apart(s stream, n int, text string) error {
	sent := make(chan error, 1)
	go func() {
		for range n {
			if err := send(s, text); err != nil {
				sent <- err
				return
			}
		}
		sent <- s.CloseSend()
	}()
	for i := range n {
		if err := receive(s, text); err != nil {
			return fmt.Errorf("after %d: %w", i, err)
		}
	}
	return errors.Join(<-sent, end(s))
}

func streams() {
	for _, order := range []string{"EACH", "PAIRS", "AFTER_HALF_CLOSE"} {
		on := func(name string, f func(s stream) error) {
			check("grpc-go "+order+": "+name, func(ctx context.Context) error {
				s, err := open(ctx, at(order))
				if err != nil {
					return err
				}
				return f(s)
			})
		}
		if order == "EACH" {
			on("write 1, read 1, 100 times", func(s stream) error {
				for i := range 100 {
					if err := both(s, i, i); err != nil {
						return err
					}
				}
				return end(s)
			})
		}
		if order != "AFTER_HALF_CLOSE" {
			on("write 2, read 2, 100 times", func(s stream) error {
				for i := 0; i < 200; i += 2 {
					if err := both(s, i, i+1); err != nil {
						return err
					}
				}
				return end(s)
			})
		}
		on("write 2,001, half-close, read all", func(s stream) error {
			for i := range 2001 {
				if err := send(s, fmt.Sprint(i)); err != nil {
					return err
				}
			}
			if err := s.CloseSend(); err != nil {
				return err
			}
			for i := range 2001 {
				if err := receive(s, fmt.Sprint(i)); err != nil {
					return err
				}
			}
			return end(s)
		})
		on("write and read apart, 5,000", func(s stream) error { return apart(s, 5000, "hello") })
		on("3 messages of 1 MiB", func(s stream) error { return apart(s, 3, strings.Repeat("b", 1<<20)) })
		on("half-close at once", end)
		on("the head comes before a message", func(s stream) error {
			_, err := s.Header()
			return err
		})
	}
	check("grpc-go EACH: gzip", func(ctx context.Context) error {
		s, err := open(ctx, at("EACH"), grpc.UseCompressor(gzip.Name))
		if err != nil {
			return err
		}
		return apart(s, 100, strings.Repeat("b", 10_000))
	})
	check("grpc-go EACH: 64 MiB written before anything is read", func(ctx context.Context) error {
		s, err := open(ctx, at("EACH"))
		if err != nil {
			return err
		}
		go func() {
			for range 64 {
				if send(s, strings.Repeat("b", 1<<20)) != nil {
					return
				}
			}
			s.CloseSend()
		}()
		time.Sleep(2 * time.Second)
		for i := range 64 {
			if _, err := s.Recv(); err != nil {
				return fmt.Errorf("after %d: %w", i, err)
			}
		}
		if _, err := s.Recv(); err != io.EOF {
			return fmt.Errorf("the stream does not end: %v", err)
		}
		return nil
	})
	check("grpc-go EACH: the deadline of an open stream", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		defer cancel()
		s, err := open(ctx, at("EACH"))
		if err != nil {
			return err
		}
		_, err = s.Recv()
		return want(err, codes.DeadlineExceeded)
	})
	check("grpc-go EACH: an open stream is cancelled", func(ctx context.Context) error {
		cancelled, cancel := context.WithCancel(ctx)
		defer cancel()
		s, err := open(cancelled, at("EACH"))
		if err == nil {
			err = both(s, 1, 1)
		}
		if err != nil {
			return err
		}
		cancel()
		_, err = s.Recv()
		return want(err, codes.Canceled)
	})
	for _, answered := range []bool{false, true} {
		name := map[bool]string{false: "at once", true: "after its first answer"}[answered]
		check("grpc-go EACH: 500 streams, each cancelled "+name+", 10 of 10", func(ctx context.Context) error {
			for run := range 10 {
				if err := cancels(ctx, answered); err != nil {
					return fmt.Errorf("run %d: %w", run, err)
				}
			}
			return nil
		})
	}
	check("grpc-go EACH: keepalive, an idle stream for 25 s", func(ctx context.Context) error {
		parameters := keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 2 * time.Second, PermitWithoutStream: true}
		connection := dial(at("EACH"), grpc.WithKeepaliveParams(parameters))
		s, err := bidirectional.NewBidirectionalClient(connection).GetServerResponse(ctx)
		if err != nil {
			return err
		}
		time.Sleep(25 * time.Second)
		return errors.Join(both(s, 1, 1), end(s))
	})
}

// cancels cancels 500 streams of one connection, which then still answers.
func cancels(ctx context.Context, answered bool) error {
	connection := dial(at("EACH"))
	defer connection.Close()
	client := bidirectional.NewBidirectionalClient(connection)
	for i := range 500 {
		cancelled, cancel := context.WithCancel(ctx)
		s, err := client.GetServerResponse(cancelled)
		if err == nil {
			err = send(s, "x")
		}
		if err == nil && answered {
			err = receive(s, "x")
		}
		cancel()
		if err != nil {
			return fmt.Errorf("stream %d: %w", i, err)
		}
	}
	s, err := client.GetServerResponse(ctx)
	if err != nil {
		return err
	}
	return errors.Join(both(s, 1, 1), end(s))
}
