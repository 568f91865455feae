/** The structured log of --verbose. */
import type { Logger } from "../index.ts";

/**
 * Writes each line to stderr at once, so that none is missing when the process ends. pino is loaded here and nowhere
 * else: who uses the library alone may leave it out.
 */
export async function stderrLogger(name = "resplice", level: "debug" | "info" = "debug"): Promise<Logger> {
  const { pino } = await import("pino").catch((cause: unknown) => {
    throw new Error("the log needs the package pino, which is not installed (npm install pino)", { cause });
  });
  const logger: Logger = pino({ name, level }, pino.destination({ dest: 2, sync: true }));
  return logger;
}
