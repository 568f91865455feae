/**
 * The state diagrams of the documents, made of the transition tables in src/core/states.ts.
 *
 *     node scripts/diagrams.ts            prints them
 *     node scripts/diagrams.ts --write    writes them into the documents, behind the lines `<!-- diagram: name -->`
 */
import { readFileSync, writeFileSync } from "node:fs";
import {
  LINK_TRANSITIONS,
  RESOURCE_TRANSITIONS,
  SESSION_TRANSITIONS,
  SUPERVISOR_TRANSITIONS,
} from "../src/core/states.ts";

type Transitions = Readonly<Record<string, Readonly<Partial<Record<string, string>>>>>;

interface Diagram {
  name: string;
  transitions: Transitions;
  /** Where it begins. A session begins as provisional on a server, and live on a client. */
  first: readonly string[];
}

/** By document, from the root of the repository. */
export const DIAGRAMS: Readonly<Record<string, readonly Diagram[]>> = {
  "ARCHITECTURE.md": [
    { name: "link", transitions: LINK_TRANSITIONS, first: ["created"] },
    { name: "session", transitions: SESSION_TRANSITIONS, first: ["provisional", "live"] },
    { name: "supervisor", transitions: SUPERVISOR_TRANSITIONS, first: ["created"] },
  ],
  "docs/overload.md": [{ name: "resource", transitions: RESOURCE_TRANSITIONS, first: ["normal"] }],
};

function mermaid(transitions: Transitions, first: readonly string[]): string {
  const lines = first.map((state) => `[*] --> ${state}`);
  for (const [from, inputs] of Object.entries(transitions)) {
    const byTarget = new Map<string, string[]>();
    for (const [input, to = ""] of Object.entries(inputs)) {
      byTarget.set(to, [...(byTarget.get(to) ?? []), input]);
    }
    for (const [to, names] of byTarget) lines.push(`${from} --> ${to}: ${names.join(", ")}`);
    if (byTarget.size === 0) lines.push(`${from} --> [*]`);
  }
  return ["stateDiagram-v2", ...lines.map((line) => `    ${line}`)].join("\n");
}

/** `document` with these diagrams in their places. */
export function withDiagrams(document: string, diagrams: readonly Diagram[]): string {
  let result = document;
  for (const { name, transitions, first } of diagrams) {
    const marker = `<!-- diagram: ${name} -->`;
    if (!result.includes(marker)) throw new Error(`the document has no ${marker}`);
    const block = `${marker}\n\`\`\`mermaid\n${mermaid(transitions, first)}\n\`\`\``;
    result = result.replace(new RegExp(`${marker}(?:\\n\`\`\`mermaid\\n[^\`]*\`\`\`)?`, "u"), () => block);
  }
  return result;
}

if (import.meta.filename === process.argv[1]) {
  for (const [path, diagrams] of Object.entries(DIAGRAMS)) {
    const document = new URL(`../${path}`, import.meta.url);
    if (process.argv[2] === "--write") {
      writeFileSync(document, withDiagrams(readFileSync(document, "utf8"), diagrams));
    } else {
      for (const { name, transitions, first } of diagrams) console.log(`${name}\n\n${mermaid(transitions, first)}\n`);
    }
  }
}
