/** The pictures of docs/pictures, as a page shows them: nothing is cut off, and letters can be read on a phone. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Page } from "./browser.ts";
import type { PageScenario, PageStage } from "./stage.ts";

const FOLDER = fileURLToPath(new URL("../../docs/pictures/", import.meta.url));
const LEAST_PIXELS = 10;
const LOOKS = [
  { width: 390, colorScheme: "light" },
  { width: 390, colorScheme: "dark" },
  { width: 800, colorScheme: "light" },
  { width: 800, colorScheme: "dark" },
] as const;

export const PICTURES: PageScenario = {
  name: "pictures",
  about: "the pictures of the documents: letters of ten pixels or more on a phone, nothing cut off, no text on another",
  run: look,
};

async function look(stage: PageStage): Promise<void> {
  for (const name of readdirSync(FOLDER).filter((file) => file.endsWith(".svg"))) {
    const file = join(stage.folder, `${name}.html`);
    const svg = readFileSync(FOLDER + name, "utf8");
    writeFileSync(
      file,
      `<!doctype html><style>body { margin: 0 } svg { max-width: 100%; height: auto }</style><body>${svg}</body>`,
    );
    for (const { width, colorScheme } of LOOKS) {
      const page = await stage.openBare(pathToFileURL(file).href, { width, height: 600, colorScheme });
      await stage.keep(page, `picture-${name.replace(".svg", "")}-${width}-${colorScheme}`, true);
      if (colorScheme === "light") await measure(stage, page, `${name}, ${width} pixels`);
    }
  }
  stage.noProblems();
}

async function measure(stage: PageStage, page: Page, what: string): Promise<void> {
  const { least, outside, overlapping } = await page.evaluate<{
    least: number;
    outside: string[];
    overlapping: string[];
  }>(MEASURED);
  stage.row({ what: `${what}: letters of`, figure: least, bound: LEAST_PIXELS, is: "at least", unit: "pixels" });
  stage.holds(`${what}: nothing is cut off`, outside.length === 0, outside.join("; "));
  stage.holds(`${what}: no text on another`, overlapping.length === 0, overlapping.join("; "));
}

/** In the page. */
const MEASURED = `(() => {
  const svg = document.querySelector("svg");
  const whole = svg.getBoundingClientRect();
  const scale = whole.width / svg.viewBox.baseVal.width;
  const texts = [...svg.querySelectorAll("text")].map((text) => ({
    text: text.textContent,
    pixels: parseFloat(getComputedStyle(text).fontSize) * scale,
    box: text.getBoundingClientRect(),
  }));
  const boxes = [...svg.querySelectorAll("rect, text, path, line")].map((shape) => [shape, shape.getBoundingClientRect()]);
  const isOn = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  return {
    least: Math.min(...texts.map(({ pixels }) => pixels)),
    outside: boxes
      .filter(([, box]) =>
        box.left < whole.left - 0.1 || box.right > whole.right + 0.1 ||
        box.top < whole.top - 0.1 || box.bottom > whole.bottom + 0.1)
      .map(([shape]) => shape.textContent || shape.outerHTML),
    overlapping: texts.flatMap((one, at) =>
      texts.slice(at + 1).filter((other) => isOn(one.box, other.box)).map((other) => one.text + " / " + other.text)),
  };
})()`;
