/** The files of the live page. `npm run build` makes the script and the style from the folder `page`, into dist/page. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { RespliceError } from "../../link/errors.ts";

/** Of the script and the style: what stands in dist/page. */
export type BundledFile = "page.js" | "page.css";

/** Nothing from elsewhere, nothing written into the document itself, and in no frame. */
export const CONTENT_SECURITY_POLICY: string = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join("; ");

const ICON = [
  "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'>",
  "<path d='M1 8h5m4 0h5' stroke='%233b82c4' stroke-width='3' stroke-linecap='round'/>",
  "<circle cx='8' cy='8' r='2' fill='%232f9e6b'/></svg>",
].join("");

export const DOCUMENT: string = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>resplice</title>
    <link rel="icon" href="data:image/svg+xml,${ICON.replaceAll("<", "%3c").replaceAll(">", "%3e")}">
    <link rel="stylesheet" href="page.css">
    <script type="module" src="page.js"></script>
  </head>
  <body>
    <div id="page"></div>
    <noscript>This page needs JavaScript. /metrics has the same numbers.</noscript>
  </body>
</html>
`;

export class BundledFiles {
  readonly #folder: () => string;
  readonly #texts = new Map<BundledFile, string>();

  /** The folder is looked for when the first file is asked. */
  constructor(folder: () => string = bundleFolder) {
    this.#folder = folder;
  }

  /** Throws NOT_SUPPORTED where the files are not there. */
  text(name: BundledFile): string {
    const known = this.#texts.get(name);
    if (known !== undefined) return known;
    try {
      const text = readFileSync(join(this.#folder(), name), "utf8");
      this.#texts.set(name, text);
      return text;
    } catch (cause) {
      const advice = "they are in the package, in dist/page, and in a clone after `npm run build`";
      throw new RespliceError("NOT_SUPPORTED", `the files of the live page are not there: ${advice}`, { cause });
    }
  }
}

/** Also where this module is a part of a bundle: it is found by the name of the package. */
function bundleFolder(): string {
  const found = createRequire(import.meta.url).resolve("resplice/package.json");
  return join(dirname(found), "dist/page");
}
