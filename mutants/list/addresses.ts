/** The addresses of a server: how they are bound, and how they are kept. */
import type { Mutant } from "../mutant.ts";

const ACCEPTORS = "src/server/listening/acceptors.ts";
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
    name: "the socket of a living server is removed",
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
    name: "reusePort that is ignored",
    rule: "an option that Node does not know is refused",
    file: "src/server/listening/places.ts",
    find: "return minor >= (REUSES_PORT[major] ?? 0);",
    replace: "return minor >= 0;",
    tests: ["test/server/listening/places.test.ts"],
  },
];
