import { expect, test } from "vitest";
import { DIAGRAMS, withDiagrams } from "../../scripts/diagrams.ts";
import { read } from "./tables.ts";

test.each(Object.entries(DIAGRAMS))(
  "%s shows the transitions as they are (else: npm run diagrams)",
  (path, diagrams) => {
    const document = read(path);
    expect(withDiagrams(document, diagrams)).toBe(document);
  },
);
