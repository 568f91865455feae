/** For `node --import`: what users import is this repository's sources, as in vitest.config.ts. */
import { registerHooks } from "node:module";

const SOURCES: Record<string, URL> = {
  resplice: new URL("../../../src/index.ts", import.meta.url),
  "resplice/testing": new URL("../../../src/testing/index.ts", import.meta.url),
};

registerHooks({
  resolve: (specifier, context, next) => next(SOURCES[specifier]?.href ?? specifier, context),
});
