#!/usr/bin/env node
// The entry point of the command `resplice`. It imports nothing before it has checked Node's version: an old Node can
// read this file, but not the others.

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);

if (major > 22 || (major === 22 && minor >= 12)) {
  void import("./run.ts").then(({ run }) => run(process.argv.slice(2)));
} else {
  process.stderr.write(
    `resplice: needs Node 22.12 or newer, and this is Node ${process.versions.node} (${process.execPath}).\n`,
  );
  process.exitCode = 69; // EX_UNAVAILABLE
}
