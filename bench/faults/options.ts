/** The options of `npm run bench -- faults`. */
import { parsed } from "../options.ts";

export interface FaultOptions {
  peers: boolean;
  /** Contenders whose name contains one of these; all if there is none. */
  only: readonly string[];
  /** The file of the report. */
  report: string | undefined;
  json: boolean;
  markdown: boolean;
}

/** Throws OptionError. */
export function readFaultOptions(args: readonly string[]): FaultOptions | "help" {
  const {
    help,
    only = [],
    report,
    ...rest
  } = parsed(args, {
    peers: { type: "boolean", default: false },
    only: { type: "string", multiple: true },
    report: { type: "string" },
    json: { type: "boolean", default: false },
    markdown: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  });
  return help ? "help" : { ...rest, only, report };
}
