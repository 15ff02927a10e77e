import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, test } from "vitest";
import { scratch } from "../cli/cofferdam.ts";
import { serve } from "./serve.ts";

const receiver = `
import socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as taking:
    taking.bind(sys.argv[1])
    print("bound", flush=True)
    while True:
        print(taking.recv(4096).decode().replace("\\n", " "), flush=True)
`;

test("systemd is told when the server is ready, and when it stops, by the server's own process", async () => {
  using directory = scratch();
  const socket = join(directory.path, "notify");
  const child = spawn("python3", ["-c", receiver, socket], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const told: string[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => void told.push(line));
  try {
    await expect.poll(() => told).toContain("bound");
    process.env["NOTIFY_SOCKET"] = socket;
    const server = await serve(["--port", "0"]);
    delete process.env["NOTIFY_SOCKET"];
    const about = `MAINPID=${server.child.pid}`;
    await expect.poll(() => told.find((line) => line.includes("READY=1"))).toContain(about);
    expect(await server.end("SIGTERM")).toBe(143);
    await expect.poll(() => told.join("\n")).toContain("STOPPING=1");
    expect(server.lines.join("\n")).not.toContain("systemd could not be told");
  } finally {
    const gone = once(child, "exit");
    child.kill();
    await gone;
  }
});

test("the unit ends the server alone and takes its exit for what it is", () => {
  const unit = readFileSync("packaging/systemd/cofferdam.service", "utf8");
  for (const line of [
    "Type=notify",
    "NotifyAccess=all",
    "KillMode=process",
    "Delegate=yes",
    "SuccessExitStatus=143",
    "ExecReload=/bin/kill -HUP $MAINPID",
  ])
    expect(unit.split("\n")).toContain(line);
});
