/** What the ends of a tunnel write to stderr: lines for people, or JSON through pino. */
import type { Logger } from "../../index.ts";
import type { TunnelLog } from "../../tunnel/log.ts";
import { stderrLogger } from "../log.ts";
import type { CommonArguments } from "./types.ts";

export interface Output {
  readonly log: TunnelLog;
  /** For all that links do, with --verbose. */
  readonly logger: Logger | undefined;
  /** A line that is no connection's. */
  readonly say: (text: string) => void;
}

/** Rejects where pino is needed and is not installed. */
export async function outputOf(
  { json, verbose, name }: Pick<CommonArguments, "json" | "verbose" | "name">,
  end: "near" | "far",
): Promise<Output> {
  const logger = json || verbose ? await stderrLogger(name ?? `tunnel-${end}`, verbose ? "debug" : "info") : undefined;
  const log: TunnelLog =
    json && logger !== undefined
      ? (level, event, text, fields = {}) => logger[level]({ event, ...fields }, text)
      : (level, _, text) => void process.stderr.write(`resplice: ${level === "info" ? "" : `${level}: `}${text}\n`);
  return { log, logger: verbose ? logger : undefined, say: (text) => log("info", "tunnel.process", text) };
}
