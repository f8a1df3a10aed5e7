// Package work takes CPU time for each call, and counts what it took.
package work

import (
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// Work of so many nanoseconds for each call.
type Work struct {
	perCall     int64
	calls, took atomic.Int64
}

// FromArguments reads the work of a side, in microseconds.
func FromArguments(index int) *Work {
	microseconds, err := strconv.ParseInt(os.Args[index], 10, 64)
	if err != nil {
		log.Fatal(err)
	}
	return &Work{perCall: microseconds * 1000}
}

// Once takes it, by the clock of this thread, which stands still while another has the core.
func (work *Work) Once() {
	if work.perCall == 0 {
		return
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	begun := threadCPU()
	took := int64(0)
	for took < work.perCall {
		took = threadCPU() - begun
	}
	work.calls.Add(1)
	work.took.Add(took)
}

func threadCPU() int64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now); err != nil {
		log.Fatal(err)
	}
	return now.Nano()
}

// Listening says where the service speaks REST, and where gRPC.
func Listening(rest net.Listener, grpc string) {
	fmt.Println("REST on", rest.Addr())
	fmt.Println("gRPC on", grpc)
}

// UntilEnded waits for SIGTERM, and says what the work of all sides came to.
func UntilEnded(sides ...*Work) {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	<-ended
	var calls, took int64
	for _, side := range sides {
		calls += side.calls.Load()
		took += side.took.Load()
	}
	fmt.Printf("worked %d calls %d ns\n", calls, took)
}
