#!/usr/bin/env node
// The entry point of the command `resplice`. It loads the rest only when it has checked Node's version: an old Node may
// not be able to read it.
import { nodeTooOld } from "../node-version.ts";

const reason = nodeTooOld();
if (reason === undefined) {
  void import("./run.ts").then(({ run }) => run(process.argv.slice(2)));
} else {
  process.stderr.write(`resplice: ${reason}.\n`);
  process.exitCode = 69; // EX_UNAVAILABLE
}
