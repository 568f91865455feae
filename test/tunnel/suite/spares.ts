/** Links that were opened ahead when the path went silent: nobody may be given one, once that is known. */
import { once } from "node:events";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { CutPathCommands } from "./cut-path.ts";
import { cutRows } from "./cut-rows.ts";
import type { TunnelScenario, TunnelStage } from "./stage.ts";

/** The near end has noticed, and has other links. */
const NOTICED_MS = 8_000;
const ROUNDS = 5;
/** As many as there are spare links at the least. */
const AT_ONCE = 4;
/** Without a tunnel it would be a millisecond, and on a dead link some seconds. */
const BOUND_MS = 1_000;

export const SPARES: readonly TunnelScenario[] = [
  ...cutRows("spares", "a black hole while nobody is connected: soon a connection is as quick as before", spares),
];

async function spares(stage: TunnelStage, tls: boolean): Promise<void> {
  const target = await stage.listen(net.createServer((socket) => void socket.pipe(socket)));
  const path = stage.worker<CutPathCommands>(new URL("cut-path.ts", import.meta.url), "path");
  const { port } = await stage.tunnel({ target, tls, path: (far) => path.call("open", far) });
  const first = await slowest(port);
  const times: number[] = [];
  for (let round = 0; round < stage.scaled(ROUNDS); round++) {
    await path.call("blackHole");
    await sleep(NOTICED_MS);
    times.push(await slowest(port));
  }
  stage.row({
    what: `${AT_ONCE} connections at once, ${NOTICED_MS / 1_000} s after a black hole: the slowest`,
    figure: Math.max(...times),
    bound: BOUND_MS,
    unit: "ms",
    note: `before: ${first.toFixed(0)} ms; each: ${times.map((ms) => ms.toFixed(0)).join(", ")}`,
  });
}

/** Until each has its first byte. In milliseconds. */
async function slowest(port: number): Promise<number> {
  const fromMs = performance.now();
  const one = async (): Promise<void> => {
    const socket = net.connect({ port, host: "127.0.0.1" });
    socket.write("?");
    await once(socket, "data");
    socket.end();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
  return performance.now() - fromMs;
}
