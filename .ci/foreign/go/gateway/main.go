// grpc-gateway in front of a service: gateway BACKEND WORK, in microseconds of CPU time for each call. Prints
// where it listens, and when it is ended what the work came to.
package main

import (
	"context"
	"log"
	"net"
	"net/http"
	"os"

	"foreign/pb"
	"foreign/work"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

func main() {
	added := work.FromArguments(2)
	mux := runtime.NewServeMux()
	credentials := grpc.WithTransportCredentials(insecure.NewCredentials())
	backend := os.Args[1]
	err := pb.RegisterFaresHandlerFromEndpoint(context.Background(), mux, backend, []grpc.DialOption{credentials})
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	handler := http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		added.Once()
		mux.ServeHTTP(answer, request)
	})
	go func() { log.Fatal(http.Serve(listener, handler)) }()
	work.Listening(listener, backend)
	work.UntilEnded(added)
}
