import { execFile } from "node:child_process";
import { promisify } from "node:util";

/** A process listens there, and is killed: its socket stays. */
export async function deadSocket(path: string): Promise<void> {
  const code = `require("node:net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`;
  await promisify(execFile)(process.execPath, ["-e", code]).catch(() => {});
}
