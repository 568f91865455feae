/** The structured log of --verbose. */
import { pino } from "pino";
import type { Logger } from "../index.ts";

/** To stderr, a line at a time and at once: nothing is missing when the process ends. */
export function stderrLogger(name = "resplice"): Logger {
  return pino({ name, level: "debug" }, pino.destination({ dest: 2, sync: true }));
}
