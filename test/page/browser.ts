/** Debian's Chromium, driven by playwright-core, which stands in test/page/package.json. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { packageFile } from "../endurance/packages.ts";
import { installed } from "../real/install.ts";

const HERE = fileURLToPath(new URL("./", import.meta.url));
const PICTURES = fileURLToPath(new URL("../../coverage/page/", import.meta.url));

/** The parts of playwright-core that are used. A text is run in the page, and answers what its last expression is. */
export interface Page {
  goto(address: string): Promise<unknown>;
  evaluate<T>(code: string): Promise<T>;
  screenshot(options: {
    path?: string;
    fullPage?: boolean;
    clip?: { x: number; y: number; width: number; height: number };
  }): Promise<Buffer>;
  on(name: "console", listener: (message: { type(): string; text(): string }) => void): void;
  on(name: "pageerror", listener: (error: Error) => void): void;
  on(name: "request", listener: (request: { url(): string }) => void): void;
  readonly keyboard: { press(key: string): Promise<void>; type(text: string): Promise<void> };
}

interface Context {
  newPage(): Promise<Page>;
}

export interface Browser {
  newContext(options: {
    viewport: { width: number; height: number };
    colorScheme?: "light" | "dark";
    reducedMotion?: "reduce";
  }): Promise<Context>;
  close(): Promise<void>;
}

interface Playwright {
  chromium: { launch(options: { executablePath: string; args: string[] }): Promise<Browser> };
}

export async function launch(): Promise<Browser> {
  const chromium = installed("chromium", "chromium");
  const module = packageFile(HERE, "playwright-core/index.mjs");
  const playwright = (await import(pathToFileURL(module).href)) as Playwright;
  // Its sandbox needs a user who is not root.
  return playwright.chromium.launch({ executablePath: chromium, args: ["--no-sandbox"] });
}

/** Where a picture is kept after the run. */
export function picture(name: string): string {
  mkdirSync(PICTURES, { recursive: true });
  return join(PICTURES, `${name}.png`);
}

/** Looks at each frame whether the expression is true in the page. Its security policy lets nothing there be evaluated. */
export async function until(page: Page, expression: string, mostMs = 30_000): Promise<void> {
  const isSo = await page.evaluate<boolean>(`new Promise((resolve) => {
    const untilMs = performance.now() + ${mostMs};
    const look = () => {
      if (${expression}) resolve(true);
      else if (performance.now() > untilMs) resolve(false);
      else requestAnimationFrame(look);
    };
    look();
  })`);
  if (!isSo) throw new Error(`not within ${mostMs} ms: ${expression}`);
}
