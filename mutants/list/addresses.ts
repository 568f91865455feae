/** The addresses of a server: how they are bound, and how they are kept. */
import type { Mutant } from "../mutant.ts";

const ACCEPTORS = "src/server/listening/acceptors.ts";
const ACCEPTOR = "src/server/listening/acceptor.ts";
const PROBE = "src/server/listening/self-probe.ts";
const KEPT = ["test/server/listening/acceptor.test.ts"];
const PROBED = ["test/server/listening/self-probe.test.ts"];
const SYSTEMD = "src/server/listening/systemd.ts";
const ADDRESSES = ["test/server/supervisor-addresses.test.ts"];
const FILES = ["test/server/listening/socket-file.test.ts"];
const ACTIVATION = ["test/server/listening/systemd.test.ts"];

export const ADDRESSES_KEPT: readonly Mutant[] = [
  {
    name: "some of the addresses",
    rule: "a server listens at all of its addresses or at none",
    file: ACCEPTORS,
    find: "      this.stopListening();\n      throw",
    replace: "      throw",
    tests: ADDRESSES,
  },
  {
    name: "the sockets of another process",
    rule: "LISTEN_PID says whose sockets they are",
    file: SYSTEMD,
    find: "if (LISTEN_PID !== String(pid))",
    replace: "if (LISTEN_PID === '')",
    tests: ACTIVATION,
  },
  {
    name: "sockets for each child",
    rule: "no child takes the sockets for its own",
    file: SYSTEMD,
    find: "  for (const name of NAMES) Reflect.deleteProperty(env, name);\n",
    replace: "",
    tests: ACTIVATION,
  },
  {
    name: "a socket for two servers",
    rule: "each socket is given out once",
    file: SYSTEMD,
    find: "    this.#sockets = this.#sockets.filter((socket) => !taken.includes(socket));\n",
    replace: "",
    tests: ACTIVATION,
  },
  {
    name: "a file that is no socket is removed",
    rule: "a file that is no socket is left alone",
    file: "src/server/listening/socket-file.ts",
    find: "if (!found.isSocket())",
    replace: "if (!found.isSocket() && found.ino < 0)",
    tests: FILES,
  },
  {
    name: "the path of a living server is taken",
    rule: "a socket is removed when nobody listens at it",
    file: "src/server/listening/socket-file.ts",
    find: "if (await isDeadSocket(path)) removeIfSame",
    replace: "if (await isDeadSocket(path).then(() => true)) removeIfSame",
    tests: FILES,
  },
  {
    name: "a stale socket for ever",
    rule: "the socket of a process that is gone is in nobody's way",
    file: "src/server/listening/socket-file.ts",
    find: "if (now.ino === ino && now.mtimeMs === mtimeMs) unlinkSync(path);",
    replace: "if (now.ino !== ino && now.mtimeMs === mtimeMs) unlinkSync(path);",
    tests: FILES,
  },
  {
    name: "a path that the kernel cuts off",
    rule: "a path that does not fit is refused",
    file: "src/server/listening/socket-file.ts",
    find: "if (bytes > MOST_SOCKET_PATH_BYTES)",
    replace: "if (bytes > 1_000)",
    tests: FILES,
  },
  {
    name: "a socket for everyone",
    rule: "the file of a socket has the mode that is asked for",
    file: "src/server/listening/acceptor.ts",
    find: '    if ("path" in place) setMode(place);\n',
    replace: "",
    tests: FILES,
  },
  {
    name: "a lost listener stays lost",
    rule: "an address is listened at for as long as the server lives",
    file: ACCEPTOR,
    find: "      this.#outage = { ...outage, reason: (error as Error).message };\n      return this.#planRestart();",
    replace: "      this.#outage = { ...outage, reason: (error as Error).message };\n      return;",
    tests: KEPT,
  },
  {
    name: "another port after a restart",
    rule: "a port that the system has chosen stays the same",
    file: ACCEPTOR,
    find: '    if ("port" in this.#place) this.#place = { ...this.#place, port: this.#address.port };\n',
    replace: "",
    tests: KEPT,
  },
  {
    name: "restarted after the end",
    rule: "a server that was closed does not listen again",
    file: ACCEPTOR,
    find: "    this.#isStopped = true;\n    this.#again.clear();",
    replace: "    this.#isStopped = false;",
    tests: KEPT,
  },
  {
    name: "a descriptor that is bound again",
    rule: "'error' tells of an address that is lost for good",
    file: ACCEPTOR,
    find: 'const isFinal = "fd" in this.#place;',
    replace: "const isFinal = false;",
    tests: ADDRESSES,
  },
  {
    name: "healthy without an address",
    rule: "health() is down while nobody can connect",
    file: "src/server/supervisor.ts",
    find: 'if (acceptors.areAllLost) return { status: "down", reasons };',
    replace: "",
    tests: ADDRESSES,
  },
  {
    name: "a deaf listener is kept",
    rule: "a listener that does not accept is restarted",
    file: PROBE,
    find: "else if (++this.#misses >= MISSES) return this.#end(",
    replace: "else if (++this.#misses >= 100 * MISSES) return this.#end(",
    tests: [...KEPT, ...PROBED],
  },
  {
    name: "a long backlog is a deaf listener",
    rule: "while others are accepted, the probe waits for its turn",
    file: PROBE,
    find: "if (accepted > this.#acceptedBefore) this.#misses = 0;\n    else if",
    replace: "if",
    tests: PROBED,
  },
  {
    name: "the probe as a client",
    rule: "a self-probe counts as no client",
    file: ACCEPTOR,
    find: "if (this.#probe === undefined) this.#letIn(socket);",
    replace: "if (this.#probe !== undefined || socket.destroyed) this.#letIn(socket);",
    tests: KEPT,
  },
  {
    name: "first bytes that are lost",
    rule: "a client that is held while the probe is awaited loses nothing",
    file: PROBE,
    find: "    this.#socket.unshift(first);\n",
    replace: "",
    tests: PROBED,
  },
  {
    name: "no descriptor, no listener",
    rule: "a probe that was closed by Node for want of a descriptor says nothing",
    file: PROBE,
    find: 'if (!MISSED.has(code)) this.#end("untold");',
    replace: 'if (code === "never") this.#end("untold");',
    tests: PROBED,
  },
  {
    name: "a sibling's accept",
    rule: "where others may accept, a probe says nothing",
    file: ACCEPTOR,
    find: "if (selfProbeMs > 0 && !isShared(this.#place))",
    replace: "if (selfProbeMs > 0)",
    tests: KEPT,
  },
  {
    name: "reusePort that is ignored",
    rule: "an option that Node does not know is refused",
    file: "src/server/listening/places.ts",
    find: "return minor >= (REUSES_PORT[major] ?? 0);",
    replace: "return minor >= 0;",
    tests: ["test/server/listening/places.test.ts"],
  },
];
