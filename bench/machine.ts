/** What the figures were measured on. */
import os from "node:os";

export function machine(): {
  cpu: string;
  cores: number;
  memoryGiB: number;
  system: string;
  node: string;
  load: number;
} {
  return {
    cpu: os.cpus()[0]?.model ?? "unknown",
    cores: os.availableParallelism(),
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    system: `${os.platform()} ${os.release()} ${os.arch()}`,
    node: process.version,
    /** Of the last minute, before the run: others at work make rows noisier. */
    load: os.loadavg()[0] ?? 0,
  };
}
