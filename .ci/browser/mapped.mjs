// dual-mode behind a port mapping, as of a container: a browser sees other ports than the server.
//
//   node mapped.mjs DUAL_MODE [ARGUMENT...]
//
// Prints the mapped addresses as the server prints its own, and ends with it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { createInterface } from 'node:readline';

const [program, ...args] = process.argv.slice(2);
const ports = { REST: 0, gRPC: 0 }; // behind the mapping, once they are known

async function map(name) {
  const server = createServer((outer) => {
    const inner = connect(ports[name], '127.0.0.1');
    outer.pipe(inner).pipe(outer);
    for (const end of [outer, inner]) {
      end.on('error', () => { outer.destroy(); inner.destroy(); });
    }
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return server.address().port;
}

const [rest, grpc] = [await map('REST'), await map('gRPC')];
const own = ['--cors-origin', `http://127.0.0.1:${rest}`, '--grpc-url', `http://127.0.0.1:${grpc}`];
const server = spawn(program, [...args, ...own], { stdio: ['ignore', 'pipe', 'inherit'] });
process.on('SIGTERM', () => server.kill());
server.on('exit', (code) => process.exit(code ?? 1));
for await (const line of createInterface(server.stdout)) {
  const [, name, port] = /^(REST|gRPC) on .*:(\d+)$/.exec(line) ?? [];
  if (name) ports[name] = Number(port);
  if (name === 'gRPC') console.log(`REST on 127.0.0.1:${rest}\ngRPC on 127.0.0.1:${grpc}`);
}
