// Calls the servers with grpc-js and, over gRPC-Web, with grpc-web and connect-es; a line for each check, and
// exit code 3 if one fails. Run by ../run.sh, which names addresses and contracts in the environment.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

// The packages are in a directory of the script's own.
const { MODULES, PROTO, UNARY, EACH, DUAL, TESTING, TESTING_CONTRACT } = process.env;
const require = createRequire(pathToFileURL(path.join(MODULES, 'node_modules/')));
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const load = (file) => grpc.loadPackageDefinition(loader.loadSync(path.join(PROTO, file), { keepCase: true }));
const { Unary } = load('unary.proto').unary;
const { Bidirectional } = load('bidirectional.proto').bidirectional;
const { GreetingsGenerator } = load('rest_grpc_dual_mode.proto').rest_grpc_dual_mode;
const contract = loader.loadFileDescriptorSetFromBuffer(fs.readFileSync(TESTING_CONTRACT), { keepCase: true });
const { TestService } = grpc.loadPackageDefinition(contract).grpc.testing;

const PATIENCE = 600_000; // ms: it ends only checks that hang
const { INVALID_ARGUMENT, RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED, CANCELLED, UNIMPLEMENTED } = grpc.status;
const HOLI = { messageType: 'Holi', year: 2021 };
const BATCH = { requests: Array(1000).fill(HOLI) };
const cleartext = grpc.credentials.createInsecure();
let connections = 0;
/** A client of `Service` at `address`, on a connection of its own. */
const client = (Service, address, options = {}) =>
  new Service(address, cleartext, { 'grpc.max_send_message_length': -1, own: connections++, ...options });

async function check(name, run) {
  const begun = Date.now();
  try {
    let timer;
    const late = new Promise((_, fail) => (timer = setTimeout(() => fail(new Error('it hangs')), PATIENCE)));
    await Promise.race([run(), late]);
    clearTimeout(timer);
    console.log('ok  ', name.padEnd(60), `${Date.now() - begun}ms`);
  } catch (error) {
    process.exitCode = 3;
    console.log('FAIL', name.padEnd(60), `${Date.now() - begun}ms`, String(error.message ?? error).slice(0, 300));
  }
}
const equal = (seen, wanted) => {
  if (seen !== wanted) throw new Error(`${seen}, and not ${wanted}`);
};
/** The error that `promise` fails with, which must have this code. */
async function want(promise, code) {
  const error = await promise.then(() => ({ code: 'OK' }), (error) => error);
  equal(error.code, code);
  return error;
}
const ask = (client, method, request, metadata = new grpc.Metadata(), options = {}) =>
  new Promise((answered, failed) =>
    client[method](request, metadata, options, (error, answer) => (error ? failed(error) : answered(answer))));
/** Writes `requests` on `stream` as it takes them, and counts the answers. */
async function talk(stream, requests) {
  let answers = 0;
  const ended = new Promise((end, failed) => {
    stream.on('error', (error) => failed(new Error(`after ${answers}: ${error.message}`, { cause: error })));
    stream.on('data', () => answers++);
    stream.on('end', end);
  });
  ended.catch(() => {});
  let go = () => {};
  stream.on('drain', () => go()).on('error', () => go());
  for (const request of requests) if (!stream.write(request)) await new Promise((drained) => (go = drained));
  stream.end();
  await ended;
  return answers;
}

const unary = client(Unary, UNARY, { 'grpc.max_receive_message_length': -1 });
const dual = client(GreetingsGenerator, DUAL);
await check('grpc-js unary', async () => equal((await ask(unary, 'GetServerResponse', { message: 'hi' })).received, true));
await check('grpc-js unary: 2 MiB', () => ask(unary, 'GetServerResponse', { message: 'x'.repeat(2 << 20) }));
await check('grpc-js unary: too large', () => want(ask(unary, 'GetServerResponse', { message: 'x'.repeat(5 << 20) }), RESOURCE_EXHAUSTED));
await check('grpc-js dual-mode: too large', () => want(ask(dual, 'GRPCGetGreetings', { messageType: 'x'.repeat(5 << 20) }), RESOURCE_EXHAUSTED));
await check('grpc-js unary: gzip', () => ask(client(Unary, UNARY, { 'grpc.default_compression_algorithm': 2 }), 'GetServerResponse', { message: 'hi' }));
await check('grpc-js dual-mode: a greeting', async () => equal((await ask(dual, 'GRPCGetGreetings', HOLI)).messageReceived, true));
await check('grpc-js dual-mode: gzip', () => ask(client(GreetingsGenerator, DUAL, { 'grpc.default_compression_algorithm': 2 }), 'GRPCGetGreetings', HOLI));
await check('grpc-js dual-mode: deflate is UNIMPLEMENTED', () =>
  want(ask(client(GreetingsGenerator, DUAL, { 'grpc.default_compression_algorithm': 1 }), 'GRPCGetGreetings', HOLI), UNIMPLEMENTED));
await check('grpc-js dual-mode: an error with details', async () => {
  const error = await want(ask(dual, 'GRPCGetGreetings', { messageType: 'Holi' }), INVALID_ARGUMENT);
  equal(error.metadata.get('grpc-status-details-bin').length, 1);
});
await check('grpc-js dual-mode: a batch of 1,000', async () => equal((await ask(dual, 'GRPCGetGreetingsBatch', BATCH)).responses.length, 1000));
await check('grpc-js EACH: the deadline of an open stream', () => {
  const stream = client(Bidirectional, EACH).GetServerResponse(new grpc.Metadata(), { deadline: Date.now() + 300 });
  return want(new Promise((end, failed) => stream.on('error', failed).on('end', end).on('data', () => {})), DEADLINE_EXCEEDED);
});
await check('grpc-js EACH: an open stream is cancelled', () => {
  const stream = client(Bidirectional, EACH).GetServerResponse();
  stream.write({ message: 'x' });
  return want(new Promise((_, failed) => stream.on('error', failed).on('data', () => stream.cancel())), CANCELLED);
});
await check('grpc-js EACH: 500 streams, each cancelled at once', async () => {
  const each = client(Bidirectional, EACH);
  for (let i = 0; i < 500; i++) {
    const stream = each.GetServerResponse().on('error', () => {});
    stream.write({ message: 'x' });
    stream.cancel();
  }
  equal(await talk(each.GetServerResponse(), [{ message: 'x' }]), 1);
});
for (const count of [100, 5_000, 20_000]) {
  await check(`grpc-js EACH: ${count} messages of 5 bytes`, async () => {
    equal(await talk(client(Bidirectional, EACH).GetServerResponse(), Array(count).fill({ message: 'hello' })), count);
  });
}
await check('grpc-js unary: 500 calls at once', () =>
  Promise.all(Array.from({ length: 500 }, () => ask(unary, 'GetServerResponse', { message: 'hi' }))));
await check('grpc-js unary: too much metadata, and the client goes on', async () => {
  const metadata = new grpc.Metadata();
  metadata.set('x-large', 'v'.repeat(60_000));
  await ask(unary, 'GetServerResponse', { message: 'hi' }, metadata).catch(() => {});
  await ask(unary, 'GetServerResponse', { message: 'hi' });
});
await check('grpc-js TestService: 20,000 of 5 bytes to a slower handler, 20 of 20', async () => {
  // Every tenth message asks for an answer after a microsecond, which a timer makes a millisecond.
  const waiting = { response_parameters: [{ size: 1, interval_us: 1 }] };
  const requests = Array.from({ length: 20_000 }, (_, i) => (i % 10 ? { payload: { body: Buffer.from('x') } } : waiting));
  const run = () => talk(client(TestService, TESTING).FullDuplexCall(), requests);
  for (let five = 0; five < 20; five += 5) {
    for (const answers of await Promise.all(Array.from({ length: 5 }, run))) equal(answers, 2_000);
  }
});

// grpc-web is made for browsers.
globalThis.XMLHttpRequest = require('xhr2');
const { GrpcWebClientBase, MethodDescriptor, MethodType } = require('grpc-web');
const root = require('protobufjs').loadSync(path.join(PROTO, 'rest_grpc_dual_mode.proto'));
const Asked = root.lookupType('rest_grpc_dual_mode.RequestMessage');
const Answer = root.lookupType('rest_grpc_dual_mode.ResponseMessage');
const method = (name) => new MethodDescriptor(`/rest_grpc_dual_mode.GreetingsGenerator/${name}`, MethodType.UNARY, Object, Object,
  (request) => Asked.encode(Asked.fromObject(request)).finish(), (bytes) => Answer.toObject(Answer.decode(bytes)));
for (const format of ['binary', 'text']) {
  const web = new GrpcWebClientBase({ format });
  const call = (request, called = method('GRPCGetGreetings')) =>
    new Promise((answered, failed) =>
      web.rpcCall(`http://${DUAL}${called.getName()}`, request, {}, called, (error, answer) => (error ? failed(error) : answered(answer))));
  await check(`grpc-web ${format}: a greeting`, async () => equal((await call({ messageType: 'ä😀', year: 2021 })).messageReceived, true));
  await check(`grpc-web ${format}: an error`, () => want(call({ messageType: 'Holi' }), INVALID_ARGUMENT));
  await check(`grpc-web ${format}: an unknown method`, () => want(call(HOLI, method('Nope')), UNIMPLEMENTED));
}
process.exit();
