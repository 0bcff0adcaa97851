// Checks a page of `rlhf report` as a browser and a validator see it: `README.md` in this folder says how.
import { createRequire } from "node:module";
import { mkdtempSync, readFileSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [modules, ...rest] = process.argv.slice(2);
const shots = rest.includes("--shots") ? rest[rest.indexOf("--shots") + 1] : null;
const pages = rest.filter((word, place) => word !== "--shots" && rest[place - 1] !== "--shots");
if (!modules || pages.length === 0) {
  console.error("usage: node check.mjs FOLDER_WITH_NODE_MODULES PAGE [PAGE …] [--shots FOLDER]");
  process.exit(2);
}
const require = createRequire(join(resolve(modules), "package.json"));
const { chromium } = require("playwright-core");
const { HtmlValidate, StaticConfigLoader } = require("html-validate");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const MOST_BYTES = 3_000_000;
const WIDTHS = [390, 1280];
const THEMES = ["light", "dark"];
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

let faults = 0;
const fault = (text) => {
  faults += 1;
  console.log(`FAULT ${text}`);
};

async function validate(page) {
  const loader = new StaticConfigLoader({ extends: ["html-validate:standard", "html-validate:a11y"] });
  const report = await new HtmlValidate(loader).validateString(readFileSync(page, "utf8"));
  const messages = report.results.flatMap((result) => result.messages);
  for (const message of messages.slice(0, 20)) {
    fault(`${page}:${message.line}:${message.column} ${message.ruleId}: ${message.message}`);
  }
  console.log(`${basename(page)}: validator, ${messages.length} messages`);
}

async function look(browser, page, width, theme) {
  const context = await browser.newContext({
    viewport: { width, height: 900 },
    colorScheme: theme,
    reducedMotion: "reduce",
    // The page forbids scripts other than its own; axe is one.
    bypassCSP: true,
  });
  const tab = await context.newPage();
  const what = `${basename(page)} at ${width} px, ${theme}`;
  tab.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) fault(`${what}: console: ${message.text()}`);
  });
  tab.on("pageerror", (error) => fault(`${what}: ${error.message}`));
  tab.on("request", (request) => {
    if (!/^(file|data):/.test(request.url())) fault(`${what}: asks for ${request.url()}`);
  });
  await tab.goto(pathToFileURL(resolve(page)).href);
  if (shots) await tab.screenshot({ path: join(shots, `${basename(page, ".html")}-${width}-${theme}.png`), fullPage: true });
  // What is folded is a part of the page too.
  await tab.evaluate(() => document.querySelectorAll("details").forEach((details) => { details.open = true; }));
  const wide = await tab.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (wide > 0) fault(`${what}: ${wide} px wider than the screen`);
  await tab.evaluate(axe);
  const found = await tab.evaluate((values) => window.axe.run(document, { runOnly: { type: "tag", values } }), RULES);
  for (const violation of found.violations) {
    fault(`${what}: axe ${violation.id}: ${violation.help}: ${violation.nodes.slice(0, 3).map((node) => node.target.join(" ")).join(", ")}`);
  }
  console.log(`${what}: axe, ${found.violations.length} violations of ${found.passes.length + found.violations.length} rules`);
  await context.close();
}

/** The script does what it says: themes take turns, filters hide, and without a script nothing is offered that does nothing. */
async function use(browser, page) {
  const tab = await browser.newPage({ viewport: { width: 1280, height: 900 }, colorScheme: "light" });
  tab.on("pageerror", (error) => fault(`${page}: ${error.message}`));
  tab.on("console", (message) => { if (message.type() === "error") fault(`${page}: console: ${message.text()}`); });
  await tab.goto(pathToFileURL(resolve(page)).href);
  const ground = () => tab.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const before = await ground();
  await tab.click("#theme");
  await tab.click("#theme");
  if ((await ground()) === before) fault(`${page}: the theme does not change`);
  const count = () => tab.locator(".sample:visible").count();
  const all = await count();
  if (all > 0) {
    const kinds = await tab.locator("#kind option").evaluateAll((options) => options.map((option) => option.value).filter(Boolean));
    let sum = 0;
    for (const kind of kinds) {
      await tab.selectOption("#kind", kind);
      sum += await count();
    }
    if (sum !== all) fault(`${page}: ${sum} samples by kind, ${all} in all`);
  }
  await tab.close();
  const context = await browser.newContext({ javaScriptEnabled: false });
  const plain = await context.newPage();
  await plain.goto(pathToFileURL(resolve(page)).href);
  for (const control of ["#theme", "#filter"]) {
    if (await plain.locator(control).isVisible()) fault(`${page}: ${control} is offered without a script`);
  }
  if ((await plain.locator(".sample:visible").count()) !== all) fault(`${page}: samples are missing without a script`);
  await context.close();
  console.log(`${basename(page)}: theme, filters of ${all} samples, and no script`);
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    `--crash-dumps-dir=${mkdtempSync(join(tmpdir(), "report-"))}`,
  ],
});
for (const page of pages) {
  const bytes = statSync(page).size;
  if (bytes > MOST_BYTES) fault(`${page}: ${bytes} bytes`);
  console.log(`${basename(page)}: ${bytes} bytes`);
  await validate(page);
  for (const width of WIDTHS) for (const theme of THEMES) await look(browser, page, width, theme);
  await use(browser, page);
}
await browser.close();
console.log(faults === 0 ? "no faults" : `${faults} faults`);
process.exit(faults === 0 ? 0 : 1);
