/** The script of the live page. `npm run build` bundles it, with all that it needs, into dist/page/page.js. */
import { html, render } from "htm/preact";
import { App } from "./app.ts";

const place = document.getElementById("page");
if (place !== null) render(html`<${App} />`, place);
