// An E2B program as users write it: told nothing but environment variables. Prints what it saw as JSON.
import { Sandbox as CodeSandbox } from "@e2b/code-interpreter";
import { Sandbox } from "e2b";
import { once } from "node:events";
import { request } from "node:https";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { WebSocket } from "ws";

const [driver] = process.argv.slice(2);
const metadata = { "cofferdam.driver": driver };
const seen = {};
const tunnel = `
import socket
taking = socket.create_server(("0.0.0.0", 8001))
while True:
    client, _ = taking.accept()
    client.recv(65536)
    client.sendall(b"HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: echo\\r\\n\\r\\n")
    client.sendall(client.recv(65536))
`;

/** Says each message back, as WebSockets do. */
const messages = `
import base64, hashlib, socket, struct, threading

def serve(client):
    head = b""
    while not head.endswith(b"\\r\\n\\r\\n"):
        head += client.recv(1)
    lines = [line.split(": ", 1) for line in head.decode().split("\\r\\n")[1:] if line]
    key = {name.lower(): value for name, value in lines}["sec-websocket-key"]
    proof = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
    client.sendall(b"HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n")
    client.sendall(b"Sec-WebSocket-Accept: " + base64.b64encode(proof) + b"\\r\\n\\r\\n")
    kind, length = client.recv(2)
    mask = client.recv(4)
    text = bytes(byte ^ mask[at % 4] for at, byte in enumerate(client.recv(length & 127)))
    client.sendall(struct.pack("BB", kind, len(text)) + text)

taking = socket.create_server(("0.0.0.0", 8002))
while True:
    threading.Thread(target=serve, args=(taking.accept()[0],)).start()
`;

const sandbox = await CodeSandbox.create({ metadata, timeoutMs: 120_000 });
try {
  seen.text = (await sandbox.runCode("40 + 2")).text;
  await sandbox.files.write("/home/user/note.txt", "kept");
  seen.file = await sandbox.files.read("/home/user/note.txt");
  seen.command = (await sandbox.commands.run("cat note.txt; echo; exit 0")).stdout;

  const typed = [];
  const terminal = await sandbox.pty.create({
    cols: 80,
    rows: 24,
    onData: (bytes) => void typed.push(Buffer.from(bytes)),
  });
  await sandbox.pty.sendInput(terminal.pid, new TextEncoder().encode("echo a$((6 * 7))z\nexit\n"));
  await terminal.wait();
  seen.terminal = Buffer.concat(typed).toString().includes("a42z");

  await sandbox.commands.run("python3 -m http.server 8000", { background: true });
  const page = `https://${sandbox.getHost(8000)}/note.txt`;
  seen.page = new URL(page).protocol + (await untilAnswered(page));

  const upload = await sandbox.uploadUrl("/home/user/up.txt", { useSignatureExpiration: 60 });
  const form = new FormData();
  form.append("file", new Blob(["sent"]), "up.txt");
  seen.uploadStatus = (await fetch(upload, { method: "POST", body: form })).status;
  const download = await sandbox.downloadUrl("/home/user/up.txt", { useSignatureExpiration: 60 });
  seen.downloaded = await (await fetch(download)).text();
  seen.forged = (await fetch(download.replace(/signature=[^&]+/, "signature=v1_x"))).status;

  await sandbox.files.write("/home/user/tunnel.py", tunnel);
  await sandbox.commands.run("python3 tunnel.py", { background: true });
  seen.tunnel = await echoed(`https://${sandbox.getHost(8001)}/`, "echoed");

  await sandbox.files.write("/home/user/messages.py", messages);
  await sandbox.commands.run("python3 messages.py", { background: true });
  seen.webSocket = await messaged(`wss://${sandbox.getHost(8002)}/`, "hello, wss");

  seen.pauses = [await sandbox.pause(), await sandbox.pause()];
  seen.paused = (await sandbox.getInfo()).state;
  const resumed = await sandbox.connect();
  seen.resumed = [
    await resumed.files.read("/home/user/note.txt"),
    await messaged(`wss://${resumed.getHost(8002)}/`, "awake"),
  ];
  const snapshot = await sandbox.createSnapshot({ name: `over-tls-${driver}` });
  const copies = [await Sandbox.create(snapshot.snapshotId, { timeoutMs: 60_000 })];
  copies.push(...(await sandbox.fork({ count: 2, timeoutMs: 60_000 })));
  seen.copies = await Promise.all(copies.map((each) => each.files.read("/home/user/note.txt")));
  seen.differ = new Set([sandbox, ...copies].map(({ sandboxId }) => sandboxId)).size;
  await Promise.all(copies.map((each) => each.kill()));
  seen.dropped = await Sandbox.deleteSnapshot(snapshot.snapshotId);

  const again = await Sandbox.connect(sandbox.sandboxId);
  seen.again = await again.files.read("/home/user/note.txt");
  const listed = await Sandbox.list({ query: { metadata } }).nextItems();
  seen.listed = listed.map(({ sandboxId }) => sandboxId === sandbox.sandboxId);
  const waiting = sandbox.commands.run("sleep 60").then(
    () => "ended well",
    () => "failed",
  );
  await sandbox.kill();
  seen.killed = await waiting;
} finally {
  await sandbox.kill();
}
seen.running = await sandbox.isRunning();
process.stdout.write(`${JSON.stringify(seen)}\n`);

/** Says something by another protocol than HTTP, and resolves with what comes back. */
async function echoed(address, text) {
  for (let attempt = 0; ; attempt += 1) {
    const asked = request(address, { headers: { connection: "Upgrade", upgrade: "echo" } }).end();
    const [answer, socket] = await Promise.race([once(asked, "upgrade"), once(asked, "response")]);
    if (socket === undefined) {
      answer.resume();
      if (attempt > 100) return answer.statusCode;
      await sleep(100);
      continue;
    }
    socket.write(text);
    const [bytes] = await once(socket, "data");
    socket.destroy();
    return bytes.toString();
  }
}

/** Sends one message by WebSocket, and resolves with the one that comes back. */
async function messaged(address, text) {
  for (let attempt = 0; ; attempt += 1) {
    const socket = new WebSocket(address);
    try {
      await once(socket, "open");
      socket.send(text);
      const [message] = await once(socket, "message");
      return message.toString();
    } catch (error) {
      if (attempt > 100) return String(error);
      await sleep(100);
    } finally {
      socket.terminate();
    }
  }
}

/** The program in the sandbox takes a moment to listen. */
async function untilAnswered(address) {
  for (let attempt = 0; ; attempt += 1) {
    const answer = await fetch(address);
    const text = await answer.text();
    if (answer.ok || attempt > 100) return text;
    await sleep(100);
  }
}
