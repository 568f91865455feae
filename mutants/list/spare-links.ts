/** The links that the near end of a tunnel opens ahead. */
import type { Mutant } from "../mutant.ts";

export const SPARE_LINKS: readonly Mutant[] = [
  {
    name: "spare that nobody knows",
    rule: "a link that is dropped before it was connected is closed, and does not stay open for nothing",
    file: "src/tunnel/spares.ts",
    find: "if (isOpening || at >= 0) carrier.abort(",
    replace: "if (at >= 0) carrier.abort(",
    tests: ["test/tunnel/spares.test.ts"],
  },
  {
    name: "dead spare kept",
    rule: "when the path is silent, links that carry nothing are closed",
    file: "src/tunnel/near.ts",
    find: "        this.#spares.renew();\n      }\n      if (to !== ",
    replace: "      }\n      if (to !== ",
    tests: ["test/tunnel/tunnel.test.ts"],
  },
];
