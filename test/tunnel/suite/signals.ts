/** Either end is told to end, or killed, amid a transfer: nobody takes what has come for the whole. */
import { truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import net, { type Socket } from "node:net";
import { installed } from "../../real/install.ts";
import { type Ran, ran } from "./programs.ts";
import type { TunnelScenario, TunnelStage, Way } from "./stage.ts";

const ENDS = ["near", "far"] as const;
const SIGNALS = ["SIGTERM", "SIGKILL"] as const;
const DIRECTIONS = ["download", "upload"] as const;
/** Seconds. What is left of a session ends so long after the other end was killed, or told to go. */
const SURVIVE = 4;
const DRAIN = 1;
/** The transfer is in full flow. */
const BEFORE_BYTES = 16 * 2 ** 20;
/** More than there is time for. */
const TRANSFER_BYTES = 2 ** 36;
const TRANSFER = "/transfer";
const CHUNK = Buffer.alloc(65_536, "resplice ");
/** curl: "Failed sending network data", "Failure in receiving network data", which is a reset; "Partial file". */
const [SEND_ERROR, RECEIVE_ERROR, PARTIAL_FILE] = [55, 56, 18];
/** SIGTERM: something was cut off. */
const CUT_OFF = 1;

type EndName = (typeof ENDS)[number];
type Direction = (typeof DIRECTIONS)[number];
type Signal = (typeof SIGNALS)[number];

export const SIGNALLED: readonly TunnelScenario[] = ENDS.flatMap((end) =>
  SIGNALS.map((signal) => ({
    name: `${signal.toLowerCase()}-${end}`,
    about: `the ${end} end gets ${signal} amid a download and an upload: nobody sees a clean end`,
    run: async (stage: TunnelStage) => {
      for (const tls of [true, false]) for (const way of DIRECTIONS) await signalled(stage, { end, signal, way, tls });
    },
  })),
);

interface Case {
  end: EndName;
  signal: Signal;
  way: Direction;
  tls: boolean;
}

async function signalled(stage: TunnelStage, { end, signal, way, tls }: Case): Promise<void> {
  const server = await EndlessServer.start(stage);
  const options = ["--survive", `${SURVIVE}`, "--drain", `${DRAIN}`];
  const tunnel = await stage.tunnel({ target: server.port, tls, nearOptions: options, farOptions: options });
  const bare = way === "download" ? bareNc(stage, tunnel) : undefined;
  const transfer = curl(stage, tunnel, way);
  await server.transferring;
  tunnel[end].signal(signal);
  const [client, seen, code, said] = await Promise.all([transfer, server.seen, tunnel[end].exited, bare]);

  const what = `${way}, ${tls ? "TLS" : "no TLS"}`;
  // The kernel ends the connections of a process that was killed, as it likes: a program must know the length then.
  const killed = signal === "SIGKILL" ? end : undefined;
  const told = client.code === RECEIVE_ERROR || client.code === SEND_ERROR;
  stage.row({
    what: `${what}: the client knows`,
    figure: told || (killed === "near" && client.code === PARTIAL_FILE) ? 1 : 0,
    bound: 1,
    is: "at least",
    unit: "",
    note: [`curl: exit ${client.code}, ${client.stderr.trim()}`, said].filter((part) => part !== undefined).join("; "),
  });
  stage.row({
    what: `${what}: the server knows`,
    figure: seen !== "end" || killed === "far" ? 1 : 0,
    bound: 1,
    is: "at least",
    unit: "",
    note: `its socket: ${seen}`,
  });
  if (signal !== "SIGTERM") return;
  const figure = code === CUT_OFF ? 1 : 0;
  stage.row({ what: `${what}: exit code`, figure, bound: 1, is: "at least", unit: "", note: `exit ${code}` });
}

function curl(stage: TunnelStage, { port }: Way, way: Direction): Promise<Ran> {
  const url = `http://127.0.0.1:${port}${TRANSFER}`;
  const file = join(stage.folder, "endless");
  if (way === "upload") {
    // With no byte on the disk.
    writeFileSync(file, "");
    truncateSync(file, TRANSFER_BYTES);
  }
  const args = way === "download" ? ["-o", "/dev/null"] : ["-T", file, "-H", "Expect:"];
  return ran(stage, installed("curl", "curl"), ["-sS", ...args, url]);
}

/** What a program sees that takes an end for the end. Nobody can promise it anything: it is told, and not judged. */
async function bareNc(stage: TunnelStage, { port }: Way): Promise<string> {
  const nc = `${installed("nc.openbsd", "netcat-openbsd")} 127.0.0.1 ${port}`;
  const line = `printf 'GET /nc HTTP/1.1\\r\\n\\r\\n' | ${nc} | wc -c; echo "\${PIPESTATUS[1]}"`;
  const { stdout } = await ran(stage, "bash", ["-c", line]);
  const [bytes, code] = stdout.trim().split("\n");
  return `a bare nc: exit ${code} after ${bytes} bytes`;
}

/** Speaks as much HTTP as curl needs: downloads and uploads of a length that is said, and never reached. */
class EndlessServer {
  port = 0;
  /** Resolves when the transfer is in full flow. */
  readonly transferring: Promise<void>;
  /** What its socket heard first: "end", or the code of an error. */
  readonly seen: Promise<string>;
  readonly #transferring = Promise.withResolvers<void>();
  readonly #seen = Promise.withResolvers<string>();

  private constructor() {
    this.transferring = this.#transferring.promise;
    this.seen = this.#seen.promise;
  }

  static async start(stage: TunnelStage): Promise<EndlessServer> {
    const started = new EndlessServer();
    const server = net.createServer({ allowHalfOpen: true }, (socket) => {
      socket.once("data", (head) => started.#serve(socket, String(head)));
    });
    started.port = await stage.listen(server);
    return started;
  }

  #serve(socket: Socket, head: string): void {
    if (head.includes(TRANSFER)) this.#watch(socket);
    if (head.startsWith("GET ")) {
      const fill = (): void => {
        while (socket.write(CHUNK)) if (socket.bytesWritten > BEFORE_BYTES) this.#transferring.resolve();
      };
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${TRANSFER_BYTES}\r\n\r\n`);
      socket.on("drain", fill);
      fill();
    }
  }

  #watch(socket: Socket): void {
    socket.on("data", () => {
      if (socket.bytesRead > BEFORE_BYTES) this.#transferring.resolve();
    });
    socket.once("end", () => this.#seen.resolve("end"));
    socket.once("error", (error: NodeJS.ErrnoException) => this.#seen.resolve(error.code ?? error.message));
  }
}
