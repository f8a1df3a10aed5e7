// Fares by grpc-go, and by net/http: fares REST_WORK GRPC_WORK, in microseconds of CPU time for each call.
// Prints where it listens, and when it is ended what the work came to.
package main

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"

	"foreign/pb"
	"foreign/work"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
)

type fares struct {
	pb.UnimplementedFaresServer
	work *work.Work
}

func quote(asked *pb.QuoteFareRequest) *pb.Fare {
	fare := &pb.Fare{Line: asked.Line, Ticket: asked.Ticket}
	for _, passenger := range asked.Passengers {
		var cents uint32 = 240
		if passenger.Age < 15 {
			cents = 120
		}
		if passenger.Luggage {
			cents += 80
		}
		if asked.Ticket == pb.Ticket_TICKET_DAY {
			cents *= 3
		}
		fare.Each = append(fare.Each, cents)
		fare.Cents += cents
	}
	return fare
}

func (fares *fares) QuoteFare(_ context.Context, asked *pb.QuoteFareRequest) (*pb.Fare, error) {
	fares.work.Once()
	if len(asked.Passengers) == 0 {
		return nil, status.Error(codes.InvalidArgument, "passengers must not be empty")
	}
	return quote(asked), nil
}

func rest(work *work.Work) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/lines/{line}/fares", func(answer http.ResponseWriter, request *http.Request) {
		work.Once()
		body, err := io.ReadAll(http.MaxBytesReader(answer, request.Body, 1<<20))
		var asked pb.QuoteFareRequest
		if err == nil {
			err = protojson.Unmarshal(body, &asked)
		}
		answer.Header().Set("content-type", "application/json")
		if err != nil || len(asked.Passengers) == 0 {
			answer.WriteHeader(http.StatusBadRequest)
			_ = json.NewEncoder(answer).Encode(map[string]string{"error": "passengers must not be empty"})
			return
		}
		asked.Line = request.PathValue("line")
		text, err := protojson.Marshal(quote(&asked))
		if err != nil {
			http.Error(answer, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = answer.Write(text)
	})
	return mux
}

func main() {
	restWork, grpcWork := work.FromArguments(1), work.FromArguments(2)
	onREST, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	onGRPC, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer()
	pb.RegisterFaresServer(server, &fares{work: grpcWork})
	reflection.Register(server)
	go func() { log.Fatal(http.Serve(onREST, rest(restWork))) }()
	go func() { log.Fatal(server.Serve(onGRPC)) }()
	work.Listening(onREST, onGRPC.Addr().String())
	work.UntilEnded(restWork, grpcWork)
}
