// Calls the servers with grpc-go and connect-go, a line for each check, and exits with 3 if one fails.
//
// Run by .ci/clients/run.sh, which names the servers' addresses in the environment: UNARY, EACH, PAIRS and
// AFTER_HALF_CLOSE (bidirectional in its orders), DUAL, REST, TESTING (TestService).
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// patience is the longest that a check may take: it ends only those that hang.
const patience = 10 * time.Minute

var failed bool

// check runs f and says how it went.
func check(name string, f func(ctx context.Context) error) {
	begun := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		defer func() {
			if panicked := recover(); panicked != nil {
				done <- fmt.Errorf("panic: %v", panicked)
			}
		}()
		done <- f(ctx)
	}()
	var err error
	select {
	case err = <-done:
	case <-time.After(patience + 5*time.Second):
		err = errors.New("it hangs")
	}
	took := time.Since(begun).Round(time.Millisecond)
	if err != nil {
		failed = true
		fmt.Printf("FAIL %-60s %v  %.300v\n", name, took, err)
		return
	}
	fmt.Printf("ok   %-60s %v\n", name, took)
}

// at is the address that the environment has under name.
func at(name string) string {
	address, found := os.LookupEnv(name)
	if !found {
		fmt.Fprintf(os.Stderr, "%s is not set: use .ci/clients/run.sh\n", name)
		os.Exit(2)
	}
	return address
}

// dial is a connection of its own.
func dial(address string, options ...grpc.DialOption) *grpc.ClientConn {
	options = append(options, grpc.WithTransportCredentials(insecure.NewCredentials()))
	connection, err := grpc.NewClient(address, options...)
	if err != nil {
		panic(err)
	}
	return connection
}

// want is an error unless err has this code.
func want(err error, code codes.Code) error {
	if status.Code(err) != code {
		return fmt.Errorf("%v was expected, and not %v", code, err)
	}
	return nil
}

func main() {
	unaryCalls()
	streams()
	greetings()
	connectCalls()
	manyMessages()
	if failed {
		os.Exit(3)
	}
}
