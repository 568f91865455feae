/**
 * The files of the live page: the script that stands in the folder `page` with all that it needs, and its style with that
 * of the charts. The page loads these two, and nothing from elsewhere.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";
import { licensesOf } from "./bundle.ts";

const path = (of: string): string => fileURLToPath(new URL(`../${of}`, import.meta.url));

const bundle = await rolldown({
  input: path("page/main.ts"),
  platform: "browser",
  tsconfig: path("page/tsconfig.json"),
  onLog: (_, log) => {
    throw new Error(log.message);
  },
});
await bundle.write({
  file: path("dist/page/page.js"),
  format: "esm",
  codeSplitting: false,
  minify: true,
  postBanner: ({ moduleIds }) => licensesOf(moduleIds),
});

const [ofCharts, ofPage] = ["node_modules/uplot/dist/uPlot.min.css", "page/page.css"].map((file) =>
  readFileSync(path(file), "utf8"),
);
mkdirSync(path("dist/page"), { recursive: true });
writeFileSync(path("dist/page/page.css"), `${licensesOf([path("node_modules/uplot/x")])}\n${ofCharts}\n${ofPage}`);
