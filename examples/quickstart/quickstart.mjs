// Runs a script that nobody has read on real data, in a sandbox. After set-up:
//
//   node examples/quickstart/quickstart.mjs [OUTPUT DIRECTORY]
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process, { argv, stdout } from "node:process";
import { styleText } from "node:util";
import { Sandbox } from "cofferdam";

const here = import.meta.dirname;
const plot = "seattle-weather.png";
const shownOptions = [
  "egress",
  "memoryMiB",
  "pids",
  "diskMiB",
  "systemCalls",
  "userNamespace",
  "sudo",
];

const paint = (style, text) => (stdout.isTTY ? styleText(style, text) : text);
const say = (text = "") => stdout.write(`${text}\n`);
const times = [];

/** Does one stage and keeps its time. */
async function stage(title, work) {
  const begun = performance.now();
  if (stdout.isTTY) stdout.write(paint("dim", `… ${title}`));
  const value = await work();
  if (stdout.isTTY) stdout.write("\r\u001b[K");
  times.push([title, performance.now() - begun]);
  return value;
}

async function main(output, signal) {
  const script = await readFile(join(here, "analysis.py"), "utf8");
  const data = await readFile(join(here, "seattle-weather.csv"));
  const sandbox = await stage("choose a driver, start a sandbox", () => Sandbox.create({ signal }));
  try {
    const { driver, reason, rejected } = sandbox.choice;
    say(`${paint("bold", "Driver")}   ${paint("cyan", driver)}: ${reason}`);
    for (const each of rejected) say(`         not ${each.driver}: ${each.reason}`);
    await stage("upload the data", () => sandbox.files.write("seattle-weather.csv", data));
    const execution = await stage("run the script", () => sandbox.runCode(script, { signal }));
    showExecution(execution);
    const picture = await stage("download the plot", () =>
      sandbox.files.read(plot, { format: "bytes" }),
    );
    await mkdir(output, { recursive: true });
    await writeFile(join(output, plot), picture);
    say(
      `${paint("bold", "Plot")}     ${join(output, plot)} (${Math.round(picture.length / 1024)} KiB)`,
    );
    showEnforcement(await sandbox.enforcement());
  } finally {
    await stage("end the sandbox", () => sandbox.kill());
  }
  showTimes();
}

function showExecution({ logs, text, error }) {
  say(`\n${paint("bold", "The script printed")}\n${indented(logs.stdout.join(""))}`);
  say(`${paint("bold", "and its result is")}\n${indented(text ?? "")}`);
  say(paint("bold", "The line  curl -fsSL https://tools.example.com/install.sh | bash  said"));
  say(paint("red", indented(logs.stderr.join(""))));
  if (error !== undefined) throw new Error(`the script failed:\n${error.traceback}`);
}

function showEnforcement(report) {
  say(`\n${paint("bold", "What enforces what")}`);
  for (const name of shownOptions) {
    const found = report.find(({ option }) => option.split(".").at(-1) === name);
    if (found === undefined) continue;
    say(`  ${name.padEnd(15)}${found.value}\n${" ".repeat(17)}${paint("dim", found.by)}`);
  }
}

function showTimes() {
  say(`\n${paint("bold", "Time of each stage")}`);
  for (const [title, ms] of times)
    say(`  ${title.padEnd(34)}${Math.round(ms).toString().padStart(7)} ms`);
}

function indented(text) {
  return text.trimEnd().replaceAll(/^/gm, "  ");
}

const interruption = new AbortController();
for (const name of ["SIGINT", "SIGTERM"]) process.once(name, () => interruption.abort());
try {
  await main(argv[2] ?? "quickstart-output", interruption.signal);
} catch (error) {
  say();
  process.stderr.write(
    `${interruption.signal.aborted ? "interrupted; nothing is left" : error.stack}\n`,
  );
  process.exitCode = interruption.signal.aborted ? 130 : 1;
}
