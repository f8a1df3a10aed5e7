// Renders /openapi.json, and lets one try each call. It reads as much of OpenAPI 3.1 as that
// document uses, and nothing from anywhere else.
import { dump } from './wire.js';

const LONGEST_WAIT = 10_000; // milliseconds
let document_;

const byId = (id) => document.getElementById(id);

function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    key in made ? (made[key] = value) : made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

/** What `value` refers to, or itself. */
function resolve(value) {
  if (!value?.$ref) return value ?? {};
  const path = value.$ref.slice(2).split('/').map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  return { name: path.at(-1), ...path.reduce((within, part) => within[part], document_) };
}

/** Text with `code` in it. */
function rich(text = '') {
  return text.split('`').map((part, odd) => (odd % 2 ? element('code', {}, part) : part));
}

const prose = (text) => (text ?? '').split('\n\n').filter(Boolean).map((part) => element('p', {}, ...rich(part)));

/** Names on the left, each with a word about it, and what they mean on the right. */
function fields(label, rows) {
  const soft = (parts) => element('p', { className: 'soft small' }, ...parts);
  const made = rows.map(({ name, note, description, type }) => element('tr', {},
    element('th', { scope: 'row' }, element('code', {}, name), ...(note ? [soft([note])] : [])),
    element('td', {}, element('p', {}, ...rich(description)), ...(type ? [soft(type)] : []))));
  return element('table', { className: 'fields', 'aria-label': label }, element('tbody', {}, ...made));
}

/** A schema in a few words. */
function kind(schema) {
  if (schema.$ref) {
    const { name } = resolve(schema);
    return [element('a', { href: `#schema-${name}` }, name)];
  }
  const either = schema.anyOf ?? schema.oneOf;
  if (either) return either.flatMap((one, index) => (index ? [' or ', ...kind(one)] : kind(one)));
  if ('const' in schema) return [element('code', {}, JSON.stringify(schema.const))];
  if (schema.enum) return schema.enum.flatMap((one, index) => [index ? ', ' : '', element('code', {}, String(one))]);
  if (schema.type === 'array') {
    const size = schema.maxItems ? `${schema.minItems ?? 0} to ${schema.maxItems} of ` : 'list of ';
    return [size, ...kind(schema.items)];
  }
  const words = [[schema.type ?? 'any'].flat().join(' or ')];
  if (schema.minimum !== undefined) words.push(`${schema.minimum} to ${schema.maximum}`);
  if (schema.maxLength !== undefined) words.push(`at most ${schema.maxLength} characters`);
  // A pattern that only repeats what the words beside it say is left to openapi.json.
  return schema.pattern && schema.maxLength === undefined
    ? [`${words.join(', ')} like `, element('code', {}, schema.pattern)]
    : [words.join(', ')];
}

/** The examples of a parameter, a header or a media type, by name. */
const examples = ({ examples, example }) => (example === undefined ? examples ?? {} : { example: { value: example } });

/** The text of an example: bytes, which JSON cannot hold, are in hexadecimal. */
function exampleText({ value, 'x-hex': hex }) {
  if (hex) return hex.replace(/..(?!$)/g, '$& ');
  return typeof value === 'string' ? value : JSON.stringify(value, null, 2);
}

function shownExamples(content) {
  return Object.entries(content ?? {}).flatMap(([type, media]) => [
    element('h4', {}, element('code', {}, type), ...(media.schema ? [': ', ...kind(media.schema)] : [])),
    ...(media['x-message'] ? [element('p', { className: 'small' }, 'the message ', element('code', {}, media['x-message']), ', here in hexadecimal')] : []),
    ...Object.values(examples(media)).flatMap((example) => [
      ...(example.summary ? [element('p', { className: 'small' }, ...rich(example.summary))] : []),
      element('pre', { className: 'tall', tabIndex: 0 }, exampleText(example)),
    ]),
  ]);
}

function shownResponse([status, reference]) {
  const response = resolve(reference);
  const headers = Object.entries(response.headers ?? {}).map(([name, header]) => ({ name, note: 'header', description: resolve(header).description }));
  return element('details', {},
    element('summary', {}, ...(status ? [element('strong', {}, status), ' '] : []), ...rich(response.description)),
    ...(headers.length ? [fields('Headers', headers)] : []),
    ...shownExamples(response.content));
}

function shellQuoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** The call as a line for a terminal. */
function curl({ url, method, headers, hex, body }) {
  const words = ['curl', ...(method === 'GET' ? [] : method === 'HEAD' ? ['--head'] : ['-X', method]), shellQuoted(url.href)];
  for (const [name, value] of Object.entries(headers)) words.push('-H', shellQuoted(`${name}: ${value}`));
  if (body && !hex) words.push('--data-binary', shellQuoted(body));
  const line = words.join(' ');
  return hex ? `echo ${hex} | xxd -r -p | ${line} --data-binary @- --output - | xxd` : line;
}

async function send({ url, method, headers, hex, body }) {
  const bytes = hex ? Uint8Array.from(hex.match(/../g) ?? [], (byte) => parseInt(byte, 16)) : body;
  const begin = performance.now();
  const response = await fetch(url, { method, headers, body: bytes, cache: 'no-store', signal: AbortSignal.timeout(LONGEST_WAIT) });
  const answer = new Uint8Array(await response.arrayBuffer());
  const time = performance.now() - begin;
  const textual = /json|text/.test(response.headers.get('content-type') ?? '');
  const head = [`${response.status} ${response.statusText}`.trim(), ...[...response.headers].map((header) => header.join(': '))];
  return {
    summary: `${head[0]}: ${answer.length} bytes in ${time.toFixed(1)} ms`,
    head: head.join('\n'),
    body: textual ? new TextDecoder().decode(answer) : dump(answer),
  };
}

function option(value, text = value) {
  return element('option', { value }, text);
}

/** The form that makes the call. */
function trial(path, method, parameters, requestBody, responses) {
  const form = element('form', { 'aria-label': `Try ${method} ${path}` });
  const inputs = parameters.map((parameter) => {
    const [example] = Object.values(examples(parameter));
    const input = element('input', { value: parameter.required ? example?.value ?? '' : '', placeholder: parameter.required ? '' : 'not sent', autocomplete: 'off' });
    form.append(element('label', {}, `${parameter.name} (${parameter.in})`, input));
    return [parameter, input];
  });
  const accepted = Object.keys(Object.entries(responses).map(([status, one]) => (/^2/.test(status) ? resolve(one).content : undefined)).find(Boolean) ?? {});
  const accept = element('select', {}, ...accepted.map((type) => option(type)));
  if (accepted.length > 1) form.append(element('label', {}, 'accept', accept));
  const content = requestBody?.content ?? {};
  const type = element('select', {}, ...Object.keys(content).map((one) => option(one)));
  const body = element('textarea', { spellcheck: false });
  if (requestBody) {
    const choice = element('select');
    const fill = () => { body.value = exampleText(examples(content[type.value])[choice.value]); };
    const offer = () => {
      choice.replaceChildren(...Object.entries(examples(content[type.value])).map(([name, { summary }]) => option(name, summary?.replaceAll('`', '') ?? name)));
      fill();
    };
    type.addEventListener('change', offer);
    choice.addEventListener('change', fill);
    offer();
    form.append(element('label', {}, 'content-type', type), element('label', {}, 'example', choice), element('label', { className: 'wide' }, 'body (what is not text, in hexadecimal)', body));
  }
  const button = element('button', { type: 'submit' }, 'Try it');
  const status = element('p', { role: 'status', className: 'verdict' });
  const result = element('div');
  form.append(button);
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const textual = requestBody && /json|text/.test(type.value);
    const digits = requestBody && body.value.replace(/\s/g, '');
    if (requestBody && !textual && !/^([0-9a-f]{2})*$/i.test(digits)) {
      status.textContent = 'Nothing was sent: the body is not hexadecimal, two digits for each byte, such as 12 04 48.';
      result.replaceChildren();
      return;
    }
    button.disabled = true;
    status.textContent = 'Calling…';
    const call = { url: new URL(path, location.origin), method, headers: {} };
    for (const [parameter, input] of inputs) {
      if (!input.value && !parameter.required) continue;
      parameter.in === 'query' ? call.url.searchParams.append(parameter.name, input.value) : (call.headers[parameter.name] = input.value);
    }
    if (accepted.length > 1) call.headers.accept = accept.value;
    if (requestBody) {
      call.headers['content-type'] = type.value;
      textual ? (call.body = body.value) : (call.hex = digits);
    }
    const shown = [element('h4', {}, 'the same from a terminal'), element('pre', {}, curl(call))];
    try {
      const answer = await send(call);
      status.textContent = answer.summary;
      shown.unshift(element('pre', { tabIndex: 0 }, answer.head), element('h4', {}, 'body'), element('pre', { className: 'tall', tabIndex: 0 }, answer.body || '(empty)'));
    } catch (error) {
      status.textContent = `No answer: ${error.message}`;
    }
    result.replaceChildren(...shown);
    button.disabled = false;
  });
  return [element('h3', {}, 'Try it'), form, status, result];
}

function operation(path, method, shared, one) {
  const parameters = [...(shared ?? []), ...(one.parameters ?? [])].map(resolve);
  const requestBody = one.requestBody && resolve(one.requestBody);
  const rows = parameters.map(({ name, in: place, required, description, schema }) => ({ name, note: `${place}, ${required ? 'needed' : 'optional'}`, description, type: kind(schema) }));
  return element('section', { id: one.operationId },
    element('h2', {}, element('span', { className: 'method' }, method), ' ', element('code', {}, path)),
    element('p', {}, element('strong', {}, ...rich(one.summary))),
    ...prose(one.description),
    ...(rows.length ? [element('h3', {}, 'Parameters'), fields('Parameters', rows)] : []),
    ...(requestBody ? [element('h3', {}, 'Body'), ...prose(requestBody.description), element('details', {}, element('summary', {}, 'Forms and examples'), ...shownExamples(requestBody.content))] : []),
    ...trial(path, method, parameters, requestBody, one.responses),
    element('h3', {}, 'Answers'),
    ...Object.entries(one.responses).map(shownResponse));
}

function schema([name, one]) {
  const rows = Object.entries(one.properties ?? {}).map(([name, of]) => ({ name, note: one.required?.includes(name) ? '' : 'optional', description: of.description, type: kind(of) }));
  return element('section', { id: `schema-${name}` },
    element('h2', {}, name),
    ...prose(one.description),
    ...(rows.length ? [fields(name, rows)] : []));
}

async function show() {
  const response = await fetch('/openapi.json', { signal: AbortSignal.timeout(LONGEST_WAIT) });
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  document_ = await response.json();
  const { info, paths, components } = document_;
  byId('title').textContent = `${info.title} ${info.version}`;
  byId('description').replaceChildren(...prose(info.description));
  const METHODS = ['get', 'head', 'options', 'post', 'put', 'patch', 'delete'];
  const order = ({ tags }) => document_.tags.findIndex(({ name }) => name === tags[0]);
  const operations = Object.entries(paths).flatMap(([path, item]) => METHODS.filter((method) => item[method])
    .map((method) => [path, method.toUpperCase(), item.parameters, item[method]]))
    .toSorted(([, , , one], [, , , other]) => order(one) - order(other));
  byId('contents').append(...operations.map(([path, method, , one]) => element('li', {}, element('a', { href: `#${one.operationId}` }, `${method} ${path}`))));
  const elsewhere = element('section', {}, element('h2', {}, 'Anywhere else'), ...Object.values(components.responses).map((one) => shownResponse(['', one])));
  byId('main').replaceChildren(...operations.map((one) => operation(...one)), elsewhere, ...Object.entries(components.schemas).map(schema));
  // The browser looked for the place that the address names before there was any.
  if (location.hash) byId(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
}

try {
  await show();
} catch (error) {
  byId('main').replaceChildren(element('p', { role: 'alert', className: 'bad' }, `openapi.json cannot be shown: ${error.message}`));
}
byId('main').removeAttribute('aria-busy');
