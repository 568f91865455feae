/** One scenario of `npm run test:page`: a browser, its pages, and what is wrong with them. */
import { monitor, type MonitorOptions } from "../../src/index.ts";
import type { Scenario } from "../endurance/suite.ts";
import { RealStage } from "../real/stage.ts";
import { type Browser, launch, type Page, picture, until } from "./browser.ts";

export type PageScenario = Scenario<PageStage>;

export interface Look {
  width?: number;
  height?: number;
  colorScheme?: "light" | "dark";
  query?: string;
}

export class PageStage extends RealStage {
  /** Errors and warnings of the browser's console, and requests to other servers. */
  readonly problems: string[] = [];
  #browser: Browser | undefined;

  /** Answers the address of a monitor's live page. */
  async monitored(sources: MonitorOptions["sources"]): Promise<string> {
    const watched = monitor({ port: 0, sources });
    this.onClose(() => watched.close());
    const { host, port } = await watched.listening();
    return `http://${host}:${port}/`;
  }

  /** Opens the live page, and waits for the first row of its links. */
  async open(address: string, look: Look = {}): Promise<Page> {
    const page = await this.openBare(address, look);
    await until(page, `document.querySelector("tr.link") !== null`, 60_000);
    return page;
  }

  async openBare(address: string, look: Look = {}): Promise<Page> {
    const { width = 1_440, height = 1_000, colorScheme = "light", query = "" } = look;
    if (this.#browser === undefined) {
      const browser = await launch();
      this.#browser = browser;
      this.onClose(() => browser.close());
    }
    const context = await this.#browser.newContext({
      viewport: { width, height },
      colorScheme,
      reducedMotion: "reduce",
    });
    const page = await context.newPage();
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) this.problems.push(message.text());
    });
    page.on("pageerror", ({ message }) => this.problems.push(message));
    page.on("request", (request) => {
      const url = request.url();
      if (!url.startsWith(address) && !url.startsWith("data:")) this.problems.push(`it has asked for ${url}`);
    });
    await page.goto(address + query);
    return page;
  }

  /** A page with nothing in it: what the machine can do. */
  async empty(): Promise<Page> {
    const context = await this.#browser?.newContext({ viewport: { width: 1_440, height: 1_000 } });
    if (context === undefined) throw new Error("no browser was opened yet");
    return context.newPage();
  }

  async keep(page: Page, name: string, fullPage = false): Promise<void> {
    await page.screenshot({ path: picture(name), fullPage });
  }

  /** A row for something that is so or not. */
  holds(what: string, isSo: boolean, note = ""): void {
    this.row({ what, figure: Number(isSo), bound: 1, is: "at least", unit: "", note: isSo ? "" : note });
  }

  /** A row for what the browser complains of. */
  noProblems(): void {
    const { problems } = this;
    this.row({
      what: "complaints of the browser, and requests to elsewhere",
      figure: problems.length,
      bound: 0,
      unit: "",
      note: problems.slice(0, 3).join("; "),
    });
  }
}
