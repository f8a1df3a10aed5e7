import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.Status;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.StreamObserver;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;

/**
 * Calls the servers with grpc-java, a line for each check, and exits with 3 if one fails. Messages are bytes, written
 * by hand. Run by ../run.sh, which names the servers' addresses in the environment.
 */
public class Client {
    /** Seconds that a check may take: it ends only those that hang. */
    static final int PATIENCE = 600;

    interface Check {
        void run() throws Exception;
    }

    static final MethodDescriptor.Marshaller<byte[]> BYTES = new MethodDescriptor.Marshaller<>() {
        public InputStream stream(byte[] bytes) {
            return new ByteArrayInputStream(bytes);
        }

        public byte[] parse(InputStream stream) {
            try {
                return stream.readAllBytes();
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
        }
    };
    static final MethodDescriptor<byte[], byte[]> UNARY = method(MethodType.UNARY, "unary.Unary/GetServerResponse");
    static final MethodDescriptor<byte[], byte[]> GREET =
            method(MethodType.UNARY, "rest_grpc_dual_mode.GreetingsGenerator/GRPCGetGreetings");
    static final MethodDescriptor<byte[], byte[]> TALK =
            method(MethodType.BIDI_STREAMING, "bidirectional.Bidirectional/GetServerResponse");
    static final CallOptions DEFAULT = CallOptions.DEFAULT;
    static boolean failed;

    static MethodDescriptor<byte[], byte[]> method(MethodType type, String name) {
        return MethodDescriptor.newBuilder(BYTES, BYTES).setType(type).setFullMethodName(name).build();
    }

    /** A message whose field holds text. */
    static byte[] text(int field, String text) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.write(field << 3 | 2);
        int length = bytes.length;
        for (; length > 127; length >>>= 7) out.write(length & 127 | 128);
        out.write(length);
        out.writeBytes(bytes);
        return out.toByteArray();
    }

    /** A request for a greeting; without the year it is refused. */
    static byte[] holi(boolean year) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.writeBytes(text(2, "Holi"));
        if (year) out.writeBytes(new byte[] {0x18, (byte) 0xe5, 0x0f});
        return out.toByteArray();
    }

    static void check(String name, Check check) {
        long begun = System.nanoTime();
        CompletableFuture<Void> done = new CompletableFuture<>();
        Thread thread = new Thread(() -> {
            try {
                check.run();
                done.complete(null);
            } catch (Throwable error) {
                done.completeExceptionally(error);
            }
        });
        thread.setDaemon(true);
        thread.start();
        String outcome = "ok  ", error = "";
        try {
            done.get(PATIENCE, TimeUnit.SECONDS);
        } catch (Exception caught) {
            failed = true;
            outcome = "FAIL";
            error = "  " + (caught.getCause() == null ? "it hangs" : caught.getCause());
        }
        long took = (System.nanoTime() - begun) / 1_000_000;
        System.out.printf("%s %-60s %dms%.300s%n", outcome, "grpc-java " + name, took, error);
    }

    static void want(Status.Code code, Check check) throws Exception {
        try {
            check.run();
        } catch (Exception error) {
            if (Status.fromThrowable(error).getCode() == code) return;
            throw error;
        }
        throw new Exception("it is answered, and not " + code);
    }

    static ManagedChannel channel(String server) {
        return ManagedChannelBuilder.forTarget(System.getenv(server)).usePlaintext().maxInboundMessageSize(64 << 20).build();
    }

    /** Writes `count` messages as fast as flow control lets it, and wants each back. */
    static void talk(CallOptions options, int count, int size) throws Exception {
        CompletableFuture<Void> ended = new CompletableFuture<>();
        int[] answers = {0};
        ManagedChannel channel = channel("EACH");
        StreamObserver<byte[]> stream =
                ClientCalls.asyncBidiStreamingCall(channel.newCall(TALK, options), new StreamObserver<>() {
                    public void onNext(byte[] answer) {
                        answers[0]++;
                    }

                    public void onError(Throwable error) {
                        ended.completeExceptionally(error);
                    }

                    public void onCompleted() {
                        ended.complete(null);
                    }
                });
        byte[] message = text(1, "m".repeat(size));
        for (int i = 0; i < count; i++) stream.onNext(message);
        if (count > 0) stream.onCompleted();
        try {
            ended.get();
        } catch (java.util.concurrent.ExecutionException error) {
            throw Status.fromThrowable(error.getCause()).augmentDescription("after " + answers[0]).asException();
        } finally {
            channel.shutdownNow();
        }
        if (answers[0] != count) throw new Exception(answers[0] + " of " + count);
    }

    static byte[] ask(Channel channel, MethodDescriptor<byte[], byte[]> method, byte[] request) {
        return ClientCalls.blockingUnaryCall(channel, method, DEFAULT, request);
    }

    public static void main(String[] args) {
        Channel unary = channel("UNARY"), dual = channel("DUAL");
        check("unary", () -> ask(unary, UNARY, text(1, "hi")));
        check("unary: 3 MiB", () -> ask(unary, UNARY, text(1, "x".repeat(3 << 20))));
        check("unary: too large", () -> want(Status.Code.RESOURCE_EXHAUSTED, () -> ask(unary, UNARY, text(1, "x".repeat(5 << 20)))));
        check("unary: gzip", () -> ClientCalls.blockingUnaryCall(unary, UNARY, DEFAULT.withCompression("gzip"), text(1, "hi")));
        check("unary: 500 calls at once", () -> {
            List<Future<byte[]>> calls = new ArrayList<>();
            for (int i = 0; i < 500; i++) calls.add(ClientCalls.futureUnaryCall(unary.newCall(UNARY, DEFAULT), text(1, "x")));
            for (Future<byte[]> call : calls) call.get();
        });
        check("dual-mode: a greeting", () -> ask(dual, GREET, holi(true)));
        check("dual-mode: gzip", () -> ClientCalls.blockingUnaryCall(dual, GREET, DEFAULT.withCompression("gzip"), holi(true)));
        check("dual-mode: an error", () -> want(Status.Code.INVALID_ARGUMENT, () -> ask(dual, GREET, holi(false))));
        check("dual-mode: no message", () -> want(Status.Code.INVALID_ARGUMENT, () -> ask(dual, GREET, new byte[] {-1, 1, 2})));
        check("dual-mode: too large", () -> want(Status.Code.RESOURCE_EXHAUSTED, () -> ask(dual, GREET, text(2, "x".repeat(5 << 20)))));
        check("EACH: the deadline of an open stream",
                () -> want(Status.Code.DEADLINE_EXCEEDED, () -> talk(DEFAULT.withDeadlineAfter(300, TimeUnit.MILLISECONDS), 0, 0)));
        for (int count : new int[] {1_000, 5_000, 20_000}) {
            check("EACH: " + count + " messages of 5 bytes", () -> talk(DEFAULT, count, 5));
        }
        check("EACH: 64 messages of 1 MiB", () -> talk(DEFAULT, 64, 1 << 20));
        System.exit(failed ? 3 : 0);
    }
}
