/** A Redis with an empty database, in the scenario's folder. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { installed } from "./install.ts";
import type { ServerProcess } from "./server-process.ts";
import { freePort, type RealStage } from "./stage.ts";

/** `more`: options of its command line. */
export async function startRedis(stage: RealStage, ...more: string[]): Promise<ServerProcess> {
  const port = await freePort();
  const folder = join(stage.folder, `redis-${port}`);
  mkdirSync(folder);
  const args = ["--bind", "127.0.0.1", "--port", `${port}`, "--dir", folder, "--save", "", ...more];
  const server = stage.server({ command: installed("redis-server", "redis-server"), args, port });
  await server.start();
  return server;
}
