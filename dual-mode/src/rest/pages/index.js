// The form of the page: the same call over REST and over gRPC-Web, and what went over the wire.
import { decodeAnswer, decodeStatus, dump, encodeRequest, frame, unframe } from './wire.js';

const PATH = '/v1/get_greetings';
const METHOD = '/rest_grpc_dual_mode.GreetingsGenerator/GRPCGetGreetings';
const LONGEST_WAIT = 10_000; // milliseconds
// https://grpc.io/docs/guides/status-codes/
const CODES = [
  'OK', 'CANCELLED', 'UNKNOWN', 'INVALID_ARGUMENT', 'DEADLINE_EXCEEDED', 'NOT_FOUND', 'ALREADY_EXISTS',
  'PERMISSION_DENIED', 'RESOURCE_EXHAUSTED', 'FAILED_PRECONDITION', 'ABORTED', 'OUT_OF_RANGE',
  'UNIMPLEMENTED', 'INTERNAL', 'UNAVAILABLE', 'DATA_LOSS', 'UNAUTHENTICATED',
];

const byId = (id) => document.getElementById(id);
const utf8 = new TextEncoder();

function grpcOrigin() {
  const { grpcUrl, grpcPort } = document.body.dataset;
  const url = new URL(grpcUrl || location.origin);
  url.port = grpcPort || url.port;
  return url.origin;
}

/** Sends `request`, and says what went out, what came back, and how long it took. */
async function exchange({ url, method, headers, body }) {
  const exchanged = { request: { line: `${method} ${url.pathname}${url.search}`, headers, body: body ?? new Uint8Array() } };
  const begin = performance.now();
  try {
    const response = await fetch(url, { method, headers, body, cache: 'no-store', signal: AbortSignal.timeout(LONGEST_WAIT) });
    exchanged.answer = {
      ok: response.ok,
      line: `${response.status} ${response.statusText}`.trim(),
      headers: response.headers,
      body: new Uint8Array(await response.arrayBuffer()),
    };
  } catch (error) {
    const why = error.name === 'TimeoutError' ? `it took longer than ${LONGEST_WAIT / 1000} s` : 'is it running there, and does it let this page call? (--grpc-url and --cors-origin tell the server)';
    exchanged.failure = `no answer from ${url.origin}: ${why}`;
  }
  exchanged.time = performance.now() - begin;
  return exchanged;
}

/** Adds what `read` makes of the answer; an answer that cannot be read is a failure too. */
function outcome(exchanged, read) {
  if (exchanged.failure) return exchanged;
  try {
    return Object.assign(exchanged, read(exchanged.answer));
  } catch (error) {
    return Object.assign(exchanged, { failure: `the answer cannot be read: ${error.message}` });
  }
}

async function overRest(greeting, form) {
  const url = new URL(PATH, location.origin);
  const request = { url, method: 'POST' };
  if (form === 'query') {
    request.method = 'GET';
    request.headers = { accept: 'application/json' };
    url.search = new URLSearchParams(Object.entries(greeting).filter(([, value]) => value !== ''));
  } else if (form === 'protobuf') {
    request.headers = { 'content-type': 'application/protobuf', accept: 'application/protobuf' };
    request.body = encodeRequest(greeting);
  } else {
    request.headers = { 'content-type': 'application/json', accept: 'application/json' };
    request.body = utf8.encode(JSON.stringify(greeting));
  }
  return outcome(await exchange(request), ({ ok, line, headers, body }) => {
    const type = headers.get('content-type') ?? '';
    const content = ok && type.startsWith('application/protobuf') ? decodeAnswer(body) : JSON.parse(new TextDecoder().decode(body));
    return { status: `HTTP ${line}`, [ok ? 'greeting' : 'fault']: ok ? content.greetings : { ...content, message: content.detail } };
  });
}

async function overGrpcWeb(greeting) {
  const request = {
    url: new URL(METHOD, grpcOrigin()),
    method: 'POST',
    headers: { 'content-type': 'application/grpc-web+proto', accept: 'application/grpc-web+proto', 'x-grpc-web': '1' },
    body: frame(encodeRequest(greeting)),
  };
  return outcome(await exchange(request), ({ line, headers, body }) => {
    const { message, trailers } = unframe(body);
    const status = decodeStatus(trailers ?? headers);
    if (Number.isNaN(status.code)) throw new Error(`it is no gRPC-Web answer, but HTTP ${line}`);
    const name = `${CODES[status.code] ?? 'unknown'} (${status.code}) in HTTP ${line}`;
    if (status.code !== 0) return { status: name, fault: status };
    if (!message) throw new Error('it says OK and holds no message');
    return { status: name, greeting: decodeAnswer(message).greetings };
  });
}

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function violations(fault) {
  return fault?.violations?.map(({ field, description }) => `${field}: ${description}`).join('\n') || '–';
}

const ROWS = {
  outcome: (one) => one.greeting ?? one.failure ?? one.fault.message,
  status: (one) => one.status ?? '–',
  reason: (one) => one.fault?.reason ?? '–',
  fields: (one) => violations(one.fault),
  'request body': (one) => `${one.request.body.length} bytes`,
  'answer body': (one) => (one.answer ? `${one.answer.body.length} bytes` : '–'),
  time: (one) => `${one.time.toFixed(1)} ms`,
};

function compare(both) {
  return Object.entries(ROWS).map(([name, show]) => {
    const cells = both.map((one) => {
      const bad = name === 'outcome' && one.greeting === undefined;
      return element('td', { textContent: show(one), className: bad ? 'bad' : '' });
    });
    return element('tr', {}, element('th', { scope: 'row', textContent: name }), ...cells);
  });
}

function verdict([rest, grpc]) {
  const failed = [rest.failure && 'REST', grpc.failure && 'gRPC-Web'].filter(Boolean);
  if (failed.length) return `${failed.join(' and ')} got no answer that can be read.`;
  if (rest.greeting !== undefined && rest.greeting === grpc.greeting) return 'Both give the same greeting.';
  const told = ({ fault }) => JSON.stringify([fault?.reason, fault?.message, violations(fault)]);
  return rest.fault && grpc.fault && told(rest) === told(grpc) ? 'Both refuse, for the same reason.' : 'They differ: that is a bug.';
}

function bytes(title, content) {
  return [
    element('h3', { textContent: `${title}: ${content.length} bytes` }),
    element('pre', { className: 'hex tall', tabIndex: 0, textContent: dump(content) }),
  ];
}

function wire({ request, answer, failure }) {
  const head = (line, headers) => [line, ...[...headers].map(([name, value]) => `${name}: ${value}`)].join('\n');
  const sent = element('pre', { textContent: head(request.line, Object.entries(request.headers)) });
  const parts = [element('h3', { textContent: 'Request, as far as this page writes its head' }), sent, ...bytes('Request body', request.body)];
  if (!answer) return [...parts, element('p', { className: 'bad', textContent: failure })];
  const got = element('pre', { textContent: head(answer.line, answer.headers) });
  return [...parts, element('h3', { textContent: 'Answer, as far as the browser shows its head' }), got, ...bytes('Answer body', answer.body)];
}

async function greet(form) {
  const data = new FormData(form);
  const greeting = { dataCommType: data.get('dataCommType'), messageType: data.get('messageType'), year: Number(data.get('year')) };
  // One after the other, so that neither waits for the other.
  const both = [await overRest(greeting, data.get('form')), await overGrpcWeb(greeting)];
  byId('comparison').replaceChildren(...compare(both));
  byId('rest-wire').replaceChildren(...wire(both[0]));
  byId('grpc-wire').replaceChildren(...wire(both[1]));
  byId('result').hidden = false;
  byId('verdict').textContent = verdict(both);
}

byId('grpc-origin').textContent = grpcOrigin();
const form = byId('form');
form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const button = form.querySelector('button');
  if (button.disabled) return;
  button.disabled = true;
  byId('verdict').textContent = 'Calling…';
  await greet(form);
  button.disabled = false;
});
for (const preset of document.querySelectorAll('[data-message-type]')) {
  preset.addEventListener('click', () => {
    form.elements.messageType.value = preset.dataset.messageType;
    form.elements.year.value = preset.dataset.year;
    form.requestSubmit();
  });
}
