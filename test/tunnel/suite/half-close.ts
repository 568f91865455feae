/** What the two directions of a connection say of each other: a half-close, and a reset. */
import { createHash, randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import http from "node:http";
import net, { type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { installed } from "../../real/install.ts";
import { cutRows, cutWay, rowOfCuts } from "./cut-rows.ts";
import { line, ran, told } from "./programs.ts";
import type { TunnelScenario, TunnelStage } from "./stage.ts";

/** More than any buffer on the way holds. */
const ASKED_BYTES = 32 * 2 ** 20;
/** The answer takes longer than two cuts, of either kind, and waits with the client's direction ended. */
const ANSWER_PARTS = 20;
const ANSWER_EVERY_MS = 1_000;
const DOWNLOADS = 40;
const MIB = 2 ** 20;
/** curl: "Failure in receiving network data", "Partial file". */
const CUT_SHORT = new Set<number | null>([56, 18]);

export const HALF_CLOSE: readonly TunnelScenario[] = [
  ...cutRows("half-close", "nc -N: the answer comes after the client's end, over two cuts", halfClose),
  ...cutRows("reset", "the server resets a download: curl exits with 56 or 18", reset),
];

async function halfClose(stage: TunnelStage, tls: boolean): Promise<void> {
  const program = installed("nc.openbsd", "netcat-openbsd");
  const target = await stage.listen(net.createServer({ allowHalfOpen: true }, (socket) => void answer(socket)));
  const way = await cutWay(stage, { target, tls });
  const asked = join(stage.folder, "asked");
  const bytes = randomBytes(ASKED_BYTES);
  writeFileSync(asked, bytes);
  const expected = createHash("sha256").update(bytes).digest("hex");
  const parts = (await line(stage, `${program} -N 127.0.0.1 ${way.port} < ${asked}`)).split("\n");
  stage.row({
    what: "parts of the answer",
    figure: parts.filter((part) => part === expected).length,
    bound: ANSWER_PARTS,
    is: "at least",
    unit: "",
  });
  await rowOfCuts(stage, way);
}

/** With the hash of all that came, again and again, once the client has ended. */
async function answer(socket: Socket): Promise<void> {
  const hash = createHash("sha256");
  for await (const chunk of socket) hash.update(chunk as Buffer);
  const said = `${hash.digest("hex")}\n`;
  for (let part = 0; part < ANSWER_PARTS; part++) {
    socket.write(said);
    await sleep(ANSWER_EVERY_MS);
  }
  socket.end();
}

async function reset(stage: TunnelStage, tls: boolean): Promise<void> {
  const program = installed("curl", "curl");
  let bytes = 0;
  const server = http.createServer((_, response) => {
    response.writeHead(200, { "content-length": 64 * MIB });
    response.write(Buffer.alloc(bytes), () => response.socket?.resetAndDestroy());
  });
  const way = await cutWay(stage, { target: await stage.listen(server), tls });
  const wrong: string[] = [];
  const codes = new Map<number | null, number>();
  const downloads = stage.scaled(DOWNLOADS, 4);
  for (let n = 0; n < downloads; n++) {
    // From a few bytes to more than is on its way at any time.
    bytes = Math.round(2 ** (4 + (20 * n) / downloads));
    const result = await ran(stage, program, ["-sS", "-o", "/dev/null", `http://127.0.0.1:${way.port}/`]);
    codes.set(result.code, (codes.get(result.code) ?? 0) + 1);
    if (!CUT_SHORT.has(result.code)) wrong.push(told(result));
  }
  const counted = [...codes].map(([code, times]) => `${times} x exit ${code}`).join(", ");
  stage.row({
    what: "downloads that do not look cut short",
    figure: wrong.length,
    bound: 0,
    unit: "",
    note: `of ${downloads}: ${wrong[0] ?? counted}`,
  });
}
