import assert from "node:assert/strict";
import type { ByteChannel, Machine } from "../core/driver.ts";
import { plantCanary } from "./canary.ts";
import { type Case, topic } from "./case.ts";
import { reachProbe } from "./probes/search.ts";
import { eventually, output, probe, refused, run, start, within } from "./run.ts";

type Address = readonly [kind: string, host: string, port: number];

async function reach(
  machine: Machine,
  addresses: readonly Address[],
  user?: string,
): Promise<readonly string[]> {
  return probe<string[]>(
    machine,
    reachProbe,
    user === undefined ? { values: addresses } : { values: addresses, user },
  );
}

/** An HTTP server inside, on every address of the machine. */
async function serve(machine: Machine, port: number): Promise<void> {
  await machine.files.write("/tmp/served/index.html", Buffer.from("served inside"));
  const server = await start(machine, [
    "python3",
    "-m",
    "http.server",
    String(port),
    "--directory",
    "/tmp/served",
  ]);
  server.detach();
  await eventually("the server listens", async () => {
    const [outcome] = await reach(machine, [["tcp", "127.0.0.1", port]]);
    return outcome === "connected" || undefined;
  });
}

async function exchange(channel: ByteChannel, request: string): Promise<string> {
  const writer = channel.writable.getWriter();
  await writer.write(Buffer.from(request));
  let answer = "";
  for await (const part of channel.readable) answer += Buffer.from(part).toString();
  await writer.close().catch(() => undefined);
  return answer;
}

export const networkCases: readonly Case[] = topic("network", [
  {
    name: "there is no network card but loopback, for nobody inside",
    async check({ create }) {
      const machine = await create();
      const program =
        "import socket\nprint(json.dumps([name for _, name in socket.if_nameindex()]))";
      for (const user of ["user", "root"])
        assert.deepEqual(await probe(machine, program, { user }), ["lo"]);
      assert.equal(
        await output(machine, "tail -n +2 /proc/net/route 2>/dev/null | wc -l"),
        "0",
        "no route leads out",
      );
    },
  },
  {
    name: "loopback inside works, over IPv4 and by name",
    async check({ create }) {
      const machine = await create();
      await serve(machine, 8123);
      assert.equal(
        await output(
          machine,
          "curl -sS --max-time 10 http://127.0.0.1:8123/ && curl -sS --max-time 10 http://localhost:8123/",
        ),
        "served insideserved inside",
      );
    },
  },
  {
    name: "no address outside is reachable: public, private, link-local, metadata, multicast, IPv6",
    async check({ create }) {
      const machine = await create();
      const addresses: Address[] = [
        ["tcp", "1.1.1.1", 443],
        ["tcp", "8.8.8.8", 53],
        ["udp", "8.8.8.8", 53],
        ["tcp", "10.0.0.1", 80],
        ["tcp", "172.17.0.1", 80],
        ["tcp", "192.168.0.1", 80],
        ["tcp", "100.100.100.200", 80],
        ["tcp", "169.254.169.254", 80],
        ["udp", "224.0.0.1", 5353],
        ["udp", "255.255.255.255", 67],
        ["tcp6", "2606:4700:4700::1111", 443],
        ["tcp6", "fd00:ec2::254", 80],
        ["tcp6", "::ffff:1.1.1.1", 443],
      ];
      for (const user of ["user", "root"]) {
        const outcomes = await reach(machine, addresses, user);
        for (const [index, outcome] of outcomes.entries())
          assert.match(
            outcome,
            /^(ENETUNREACH|EHOSTUNREACH|EACCES|EPERM|EADDRNOTAVAIL|EAFNOSUPPORT|ECONNREFUSED)$/,
            `${user} to ${String(addresses[index])}`,
          );
      }
    },
  },
  {
    name: "names do not resolve, and say so soon",
    async check({ create }) {
      const machine = await create();
      const program =
        "import socket\ntry: print(json.dumps(socket.gethostbyname('example.com')))\nexcept OSError as e: print(json.dumps('failed'))";
      assert.equal(await within("the name's failure", 30_000, probe(machine, program)), "failed");
      const ran = await within(
        "curl",
        30_000,
        run(machine, "curl -sS --max-time 20 https://example.com"),
      );
      assert.ok([6, 7, 28].includes(ran.end.exitCode), `curl ended with ${ran.end.exitCode}`);
    },
  },
  {
    name: "services of the host are not reachable: on its loopback, on its cards, on unix sockets",
    async check({ create, host, track }) {
      host();
      const canary = track(await plantCanary());
      const machine = await create();
      assert.ok(canary.addresses.length >= 3);
      for (const user of ["user", "root"]) {
        const outcomes = await reach(machine, canary.addresses, user);
        assert.ok(!outcomes.includes("connected"), JSON.stringify(outcomes));
      }
      assert.equal(canary.visits(), 0);
    },
  },
  {
    name: "two sandboxes cannot reach each other's services and sockets",
    async check({ create }) {
      const [one, two] = await Promise.all([create(), create()]);
      await serve(one, 8124);
      const listener =
        "import socket,time\nfor name in ('\\0shared', '/tmp/shared.sock'):\n  s=socket.socket(socket.AF_UNIX); s.bind(name); s.listen(); globals()[name]=s\nprint('up', flush=True); time.sleep(1000)";
      const sockets = await start(one, ["python3", "-c", listener]);
      await sockets.output[Symbol.asyncIterator]().next();
      const addresses: Address[] = [
        ["tcp", "127.0.0.1", 8124],
        ["unix", "@shared", 0],
        ["unix", "/tmp/shared.sock", 0],
      ];
      assert.deepEqual(await reach(one, addresses), ["connected", "connected", "connected"]);
      assert.deepEqual(await reach(two, addresses, "root"), [
        "ECONNREFUSED",
        "ECONNREFUSED",
        "ENOENT",
      ]);
    },
  },
  {
    name: "no socket inside speaks the host's part of the agent's protocol",
    async check({ create }) {
      const machine = await create({
        template: "code-interpreter",
        resources: { memoryMiB: 1024 },
      });
      const listening = await output(
        machine,
        "cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk '$4 == \"0A\"' | wc -l",
        { user: "root" },
      );
      const named = await output(machine, "awk '$6 == \"01\"' /proc/net/unix 2>/dev/null", {
        user: "root",
      });
      assert.equal(named, "", "no unix socket listens");
      if (listening !== "0")
        for (const path of ["init", "freeze", "upgrade"])
          assert.doesNotMatch(
            await output(
              machine,
              `curl -s -o /dev/null -w '%{http_code}' -X POST http://127.0.0.1:49983/${path} || true`,
            ),
            /^2/,
          );
    },
  },
  {
    name: "a policy that lets something out is refused by a driver that cannot enforce it",
    async check({ driver, spec }) {
      if (driver.capabilities.has("egress")) return;
      for (const egress of [
        { allowOut: ["example.com"] },
        { allowOut: ["0.0.0.0/0"] },
        { allowOut: ["*.example.org"] },
      ]) {
        const error = await refused(driver.create(spec({ egress })), "unsupported");
        assert.match(error.field ?? "", /^egress|^allowOut/);
        assert.throws(() => driver.enforcement(spec({ egress })), { code: "unsupported" });
      }
    },
  },
  {
    name: "a port inside is reached from the host through the machine",
    needs: "ports",
    async check({ create, track }) {
      const machine = await create();
      await serve(machine, 8125);
      assert.ok(machine.ports);
      const channel = track(await machine.ports.connect(8125));
      const answer = await within(
        "the answer",
        20_000,
        exchange(channel, "GET / HTTP/1.0\r\n\r\n"),
      );
      assert.match(answer, /200 OK[\s\S]*served inside$/);
    },
  },
  {
    name: "a port that nobody listens on, or that is none, is a typed error",
    needs: "ports",
    async check({ create }) {
      const machine = await create();
      assert.ok(machine.ports);
      await refused(machine.ports.connect(8999), "unavailable", "not-found");
      for (const port of [0, -1, 65_536, 1.5, Number.NaN])
        await refused(machine.ports.connect(port), "invalid");
      assert.equal(await output(machine, "echo still"), "still");
    },
  },
  {
    name: "20 MB go both ways through a port, and 20 connections at once",
    needs: "ports",
    async check({ create, track }) {
      const machine = await create();
      const echo =
        "import socketserver\nclass H(socketserver.BaseRequestHandler):\n  def handle(self):\n    while b := self.request.recv(65536): self.request.sendall(b)\nsocketserver.TCPServer.request_queue_size = 64\nsocketserver.ThreadingTCPServer(('127.0.0.1', 8126), H).serve_forever()";
      (await start(machine, ["python3", "-c", echo])).detach();
      await eventually(
        "the echo listens",
        async () =>
          (await reach(machine, [["tcp", "127.0.0.1", 8126]]))[0] === "connected" || undefined,
      );
      const { ports } = machine;
      assert.ok(ports);
      const sizes = await Promise.all(
        Array.from({ length: 20 }, async () => {
          const channel = track(await ports.connect(8126));
          return echoed(channel, 1 << 20);
        }),
      );
      assert.deepEqual(
        sizes,
        sizes.map(() => 1 << 20),
      );
      assert.equal(await echoed(track(await ports.connect(8126)), 20 << 20), 20 << 20);
    },
  },
]);

/** Sends so many bytes and counts how many of them come back in order. */
async function echoed(channel: ByteChannel, size: number): Promise<number> {
  const writer = channel.writable.getWriter();
  const block = Buffer.from(Array.from({ length: 4096 }, (_, index) => index & 255));
  const writing = (async () => {
    for (let sent = 0; sent < size; sent += block.length) await writer.write(block);
    await writer.close();
  })();
  writing.catch(() => undefined);
  let received = 0;
  for await (const part of channel.readable)
    for (let from = 0; from < part.length;) {
      const piece = part.subarray(from, from + block.length - 256);
      const begin = received & 255;
      assert.ok(block.subarray(begin, begin + piece.length).equals(piece), "bytes out of order");
      from += piece.length;
      received += piece.length;
    }
  await writing;
  return received;
}
