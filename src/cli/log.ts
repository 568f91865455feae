/** The structured log of --verbose. */
import { pino } from "pino";
import type { Logger } from "../index.ts";

/** Writes each line to stderr at once, so that none is missing when the process ends. */
export function stderrLogger(name = "resplice"): Logger {
  return pino({ name, level: "debug" }, pino.destination({ dest: 2, sync: true }));
}
