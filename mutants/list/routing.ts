/** The router of a cluster, and the servers of its workers. */
import type { Mutant } from "../mutant.ts";

const ROUTER = "src/server/routing/router.ts";
const ROUTED = "src/server/routing/routed.ts";
const TABLE = "src/core/server/routes.ts";
const NAMED = ["test/core/server/named-server.test.ts"];
const ROUTES = ["test/core/server/routes.test.ts"];
const ROUTER_TESTS = ["test/server/routing/router.test.ts"];
const ROUTED_TESTS = ["test/server/routing/routed.test.ts"];
const OPTIONS = ["test/server/routing/options.test.ts"];

export const ROUTING: readonly Mutant[] = [
  // ── which worker ──────────────────────────────────────────────────────────────────────────────────────────────────
  {
    name: "an open names a server",
    rule: "only a frame with the flag resume names a server",
    file: "src/core/server/named-server.ts",
    find: " || ((bytes[1] as number) & FLAG_RESUME) === 0",
    replace: "",
    tests: NAMED,
  },
  {
    name: "a standby names nobody",
    rule: "a STANDBY goes to the worker of its session",
    file: "src/core/server/named-server.ts",
    find: "new Set([FrameType.hello, FrameType.standby])",
    replace: "new Set([FrameType.hello])",
    tests: NAMED,
  },
  {
    name: "a name that has not come whole",
    rule: "a connection is routed when the name has come whole",
    file: "src/core/server/named-server.ts",
    find: "bytes.length < NAME_END",
    replace: "bytes.length < NAME_END - 1",
    tests: NAMED,
  },
  {
    name: "a resume to any worker",
    rule: "a resume goes to the worker that has its session",
    file: TABLE,
    find: "if (own !== undefined) return",
    replace: "if (own === null) return",
    tests: ROUTES,
  },
  {
    name: "new sessions all to one worker",
    rule: "new sessions go to each worker in turn",
    file: TABLE,
    find: "    this.#routes.delete(next.serverId);\n",
    replace: "",
    tests: ROUTES,
  },
  {
    name: "new sessions for a worker that drains",
    rule: "a server that drains gets only what names it",
    file: TABLE,
    find: ".filter(({ isDraining }) => !isDraining)",
    replace: "",
    tests: ROUTES,
  },
  {
    name: "a resume to a worker that has no room goes elsewhere",
    rule: "another worker would say of a session that waits that it is lost",
    file: TABLE,
    find: 'return hasRoom(own.worker) ? own : "busy";',
    replace: "if (hasRoom(own.worker)) return own;",
    tests: ROUTES,
  },
  {
    name: "a worker speaks for another",
    rule: "only the worker itself speaks for its server",
    file: TABLE,
    find: "if (this.#routes.get(serverId)?.worker === worker) this.#routes.delete(serverId);",
    replace: "this.#routes.delete(serverId);",
    tests: ROUTES,
  },
  // ── the router ────────────────────────────────────────────────────────────────────────────────────────────────────
  {
    name: "a socket is read while it is handed over",
    rule: "nothing is read of a socket that is handed over",
    file: ROUTER,
    find: "{ highWaterMark: 0, noDelay: true }",
    replace: "{ noDelay: true }",
    tests: ROUTER_TESTS,
  },
  {
    name: "what was read stays in the router",
    rule: "the worker gets what was read of a connection",
    file: ROUTER,
    find: 'bytes: bytes.toString("base64")',
    replace: 'bytes: ""',
    tests: ROUTER_TESTS,
  },
  {
    name: "any number on the way to a worker",
    rule: "so many connections may be on their way to a worker",
    file: ROUTER,
    find: "< MOST_HANDING",
    replace: "< Infinity",
    tests: ROUTER_TESTS,
  },
  {
    name: "sockets of a worker that has died stay open",
    rule: "what was on its way to a worker that dies is closed",
    file: ROUTER,
    find: "for (const socket of this.#handing.get(worker) ?? []) socket.destroy();",
    replace: "",
    tests: ROUTER_TESTS,
  },
  {
    name: "a worker that has died is in the table",
    rule: "a worker that has ended gets nothing more",
    file: ROUTER,
    find: "this.#routes.gone(worker);",
    replace: "",
    tests: ROUTER_TESTS,
  },
  {
    name: "a socket that the channel refused stays open",
    rule: "a socket that could not be handed over is closed",
    file: ROUTER,
    find: "if (error instanceof Error) return void socket.destroy();",
    replace: "if (error instanceof Error) return;",
    tests: ROUTER_TESTS,
  },
  {
    name: "a client that talks without an end",
    rule: "a client says so much before it is answered, and no more",
    file: ROUTER,
    find: 'if (bytes.length > MOST_BYTES) return { state: "wrong", problem: "more than a HELLO" };',
    replace: "",
    tests: ROUTER_TESTS,
  },
  {
    name: "servers of another router",
    rule: "routers are told apart by their port",
    file: ROUTER,
    find: " || message.port !== this.#options.port",
    replace: "",
    tests: ROUTER_TESTS,
  },
  {
    name: "a closed router hears its workers",
    rule: "a closed router listens to nothing",
    file: ROUTER,
    find: '      this.#workers.off("message", this.#onMessage);\n',
    replace: "",
    tests: ROUTER_TESTS,
  },
  // ── the worker's end ──────────────────────────────────────────────────────────────────────────────────────────────
  {
    name: "what the router has read is lost",
    rule: "what was read of a connection is read again",
    file: ROUTED,
    find: 'if (bytes !== "") socket.unshift(Buffer.from(bytes, "base64"));',
    replace: "",
    tests: ROUTED_TESTS,
  },
  {
    name: "connections of another server of the worker",
    rule: "a server takes only connections that are for it",
    file: ROUTED,
    find: "if (message.serverId !== this.#serverId) return;",
    replace: "",
    tests: ROUTED_TESTS,
  },
  {
    name: "deaf before the last connection has come",
    rule: "a server that leaves takes what is on its way",
    file: ROUTED,
    find: "    await promise;\n",
    replace: "    this.#hearNoMore();\n    await promise;\n",
    tests: ROUTED_TESTS,
  },
  {
    name: "a late connection is held by nobody",
    rule: "a connection that comes after the end is closed",
    file: ROUTED,
    find: "    this.#take = (socket) => void socket.destroy();\n  }",
    replace: "    this.#take = () => {};\n  }",
    tests: ROUTED_TESTS,
  },
  {
    name: "no router, and no word of it",
    rule: "listen() waits for a router for so long",
    file: ROUTED,
    find: "late.set(this.#clock.now() + ANSWERS_WITHIN_MS);",
    replace: "",
    tests: ROUTED_TESTS,
  },
  {
    name: "a router that comes later is not answered",
    rule: "a router that begins after its workers finds them",
    file: ROUTED,
    find: 'if (message.port === this.#port && this.#left === undefined) this.#say("here");',
    replace: "",
    tests: ROUTED_TESTS,
  },
  {
    name: "a router before TLS",
    rule: "with TLS a router could not read the name",
    file: "src/server/options.ts",
    find: "if (tls !== false || proxies !== undefined)",
    replace: "if (proxies !== undefined)",
    tests: OPTIONS,
  },
];
