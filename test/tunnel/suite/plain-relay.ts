/**
 * A hop of a plain relay: each connection is passed on to another port. Two of them are what the tunnel is measured beside.
 *
 *     plain-relay.ts LISTEN TO [--cert FILE --key FILE] [--ca FILE]        a certificate to be served, or one to be trusted
 */
import { readFileSync } from "node:fs";
import net, { type Socket } from "node:net";
import tls from "node:tls";
import { parseArgs } from "node:util";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { cert: { type: "string" }, key: { type: "string" }, ca: { type: "string" } },
});
const [listen, to] = positionals.map(Number);
const { cert, key, ca } = values;
const ends = { allowHalfOpen: true, noDelay: true };
const next = { port: Number(to), host: "127.0.0.1", ...ends };
const trusted = ca === undefined ? undefined : tls.createSecureContext({ ca: readFileSync(ca) });

const server =
  cert === undefined || key === undefined
    ? net.createServer(ends, passOn)
    : tls.createServer({ cert: readFileSync(cert), key: readFileSync(key), ...ends }, passOn);
server.on("tlsClientError", () => {});
server.listen({ port: Number(listen), host: "127.0.0.1", backlog: 1_024 });

function passOn(socket: Socket): void {
  const onwards = trusted === undefined ? net.connect(next) : tls.connect({ ...next, secureContext: trusted });
  socket.on("error", () => onwards.destroy());
  onwards.on("error", () => socket.destroy());
  socket.pipe(onwards).pipe(socket);
}
