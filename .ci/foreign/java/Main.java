import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.util.JsonFormat;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.grpc.Server;
import io.grpc.Status;
import io.grpc.netty.NettyServerBuilder;
import io.grpc.protobuf.services.ProtoReflectionServiceV1;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicLong;
import tram.v1.Fare;
import tram.v1.FaresGrpc;
import tram.v1.Passenger;
import tram.v1.QuoteFareRequest;
import tram.v1.Ticket;

/**
 * Fares by grpc-netty, and by the JDK's own HTTP server: Main REST_WORK GRPC_WORK, in microseconds of CPU time for each
 * call. Prints where it listens, and when it is ended what the work came to.
 */
public class Main {
    /** Work of so much CPU time for each call, counted. */
    static class Work {
        static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();
        final long perCall;
        final AtomicLong calls = new AtomicLong();
        final AtomicLong took = new AtomicLong();

        Work(String microseconds) {
            perCall = Long.parseLong(microseconds) * 1000;
        }

        void once() {
            if (perCall == 0) {
                return;
            }
            long begun = THREADS.getCurrentThreadCpuTime();
            long spent = 0;
            while (spent < perCall) {
                spent = THREADS.getCurrentThreadCpuTime() - begun;
            }
            calls.incrementAndGet();
            took.addAndGet(spent);
        }
    }

    static Fare quote(QuoteFareRequest asked, String line) {
        Fare.Builder fare = Fare.newBuilder().setLine(line).setTicket(asked.getTicket());
        for (Passenger passenger : asked.getPassengersList()) {
            int cents = (passenger.getAge() < 15 ? 120 : 240) + (passenger.getLuggage() ? 80 : 0);
            cents *= asked.getTicket() == Ticket.TICKET_DAY ? 3 : 1;
            fare.addEach(cents).setCents(fare.getCents() + cents);
        }
        return fare.build();
    }

    static void rest(HttpExchange call, Work work) throws IOException {
        work.once();
        String body = new String(call.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
        String[] path = call.getRequestURI().getPath().split("/");
        int status = 200;
        String answer;
        try {
            QuoteFareRequest.Builder asked = QuoteFareRequest.newBuilder();
            JsonFormat.parser().merge(body, asked);
            if (path.length != 5 || asked.getPassengersCount() == 0) {
                throw new InvalidProtocolBufferException("passengers must not be empty");
            }
            answer = JsonFormat.printer().omittingInsignificantWhitespace().print(quote(asked.build(), path[3]));
        } catch (InvalidProtocolBufferException error) {
            status = 400;
            answer = "{\"error\":\"a journey of some passengers is expected\"}";
        }
        byte[] bytes = answer.getBytes(StandardCharsets.UTF_8);
        call.getResponseHeaders().set("content-type", "application/json");
        call.sendResponseHeaders(status, bytes.length);
        call.getResponseBody().write(bytes);
        call.close();
    }

    static FaresGrpc.FaresImplBase grpc(Work work) {
        return new FaresGrpc.FaresImplBase() {
            @Override
            public void quoteFare(QuoteFareRequest asked, StreamObserver<Fare> answers) {
                work.once();
                if (asked.getPassengersCount() == 0) {
                    answers.onError(Status.INVALID_ARGUMENT
                            .withDescription("passengers must not be empty")
                            .asRuntimeException());
                    return;
                }
                answers.onNext(quote(asked, asked.getLine()));
                answers.onCompleted();
            }
        };
    }

    public static void main(String[] args) throws Exception {
        Work restWork = new Work(args[0]);
        Work grpcWork = new Work(args[1]);
        InetSocketAddress anyPort = new InetSocketAddress(InetAddress.getByAddress(new byte[] {127, 0, 0, 1}), 0);
        HttpServer rest = HttpServer.create(anyPort, 1024);
        rest.setExecutor(Executors.newFixedThreadPool(4));
        rest.createContext("/v1/lines/", call -> rest(call, restWork));
        rest.start();
        Server grpc = NettyServerBuilder.forAddress(anyPort)
                .addService(grpc(grpcWork))
                .addService(ProtoReflectionServiceV1.newInstance())
                .build()
                .start();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            long calls = restWork.calls.get() + grpcWork.calls.get();
            long took = restWork.took.get() + grpcWork.took.get();
            System.out.println("worked " + calls + " calls " + took + " ns");
        }));
        System.out.println("REST on 127.0.0.1:" + rest.getAddress().getPort());
        System.out.println("gRPC on 127.0.0.1:" + grpc.getPort());
        grpc.awaitTermination();
    }
}
