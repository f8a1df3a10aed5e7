// The same as refusals.py, by Node's fetch: refusals.mjs REST GRPC [TIMES]
import fs from 'node:fs';

const [rest, grpc, times = '20'] = process.argv.slice(2);
for (const line of fs.readFileSync(new URL('cases.tsv', import.meta.url), 'utf8').trim().split('\n')) {
  const [name, port, path, kind, size, wanted] = line.split('\t');
  const body = Buffer.alloc(Number(size), 'x');
  if (port === 'gRPC') body.writeUInt8(0, 0), body.writeUInt32BE(size - 5, 1);
  const seen = {};
  for (let i = 0; i < times; i++) {
    let code;
    try {
      const url = `http://${port === 'gRPC' ? grpc : rest}${path}`;
      const answer = await fetch(url, { method: 'POST', body, headers: { 'content-type': kind }, signal: AbortSignal.timeout(30_000) });
      const text = await answer.text();
      code = answer.headers.get('grpc-status') ?? /grpc-status: ?(\d+)/i.exec(text)?.[1] ?? String(answer.status);
    } catch (error) {
      code = error.cause?.code ?? error.message;
    }
    seen[code] = (seen[code] ?? 0) + 1;
  }
  const well = seen[wanted] === Number(times);
  if (!well) process.exitCode = 1;
  console.log(well ? 'ok  ' : 'FAIL', 'fetch'.padEnd(12), name.padEnd(22), JSON.stringify(seen));
}
