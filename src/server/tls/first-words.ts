import type { Server } from "node:http";
import type { Server as SecuredServer } from "node:https";
import { Socket } from "node:net";
import type { Log } from "../log.ts";

/** How long a client may be silent before it speaks TLS. Milliseconds. */
const silenceMs = 10_000;
/** The first byte of everything that TLS says in a handshake. */
const handshakeByte = 0x16;
const body = JSON.stringify({
  code: 400,
  message:
    "this port speaks TLS, and HTTP within it (ask it by an address that begins with https://)",
});
const plainAnswer = [
  "HTTP/1.1 400 Bad Request",
  "Content-Type: application/json",
  `Content-Length: ${Buffer.byteLength(body)}`,
  "Connection: close",
  "",
  body,
].join("\r\n");

/** Answers who speaks HTTP without TLS to a port that has it; everybody else is TLS's to judge. */
export function answerPlainSpeech(server: SecuredServer): void {
  const judges = server.listeners("connection");
  server.removeAllListeners("connection");
  server.on("connection", (socket: Socket) => {
    whenSpoken(socket, (first) => {
      if (first >= 0x41 && first <= 0x5a) socket.end(plainAnswer, () => socket.destroy());
      else for (const judge of judges) judge.call(server, socket);
    });
  });
}

/** Calls with the first byte that a client says, which stays to be read. A client that says nothing is let go. */
function whenSpoken(socket: Socket, hear: (first: number) => void): void {
  const timer = setTimeout(() => socket.destroy(), silenceMs);
  const give = (): void => {
    clearTimeout(timer);
    socket.off("readable", look);
    socket.off("error", give);
    socket.off("close", give);
  };
  const look = (): void => {
    const said: unknown = socket.read();
    if (!Buffer.isBuffer(said)) return;
    give();
    socket.unshift(said);
    hear(said[0] ?? 0);
  };
  socket.on("readable", look);
  socket.on("error", () => socket.destroy());
  socket.on("close", give);
}

const statuses: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: "431 Request Header Fields Too Large",
  HPE_CHUNK_EXTENSIONS_OVERFLOW: "413 Payload Too Large",
  ERR_HTTP_REQUEST_TIMEOUT: "408 Request Timeout",
};

/** Says in the log, once, that a client speaks TLS to a port that has none: its user sees a riddle, and the keeper nothing. */
export function noticeTls(server: Server, log: Log): void {
  const answers = new WeakMap<
    object,
    { readonly headersSent: boolean; readonly writableFinished: boolean }
  >();
  let isTold = false;
  server.on("request", ({ socket }, response) => answers.set(socket, response));
  server.on("clientError", (error: NodeJS.ErrnoException & { rawPacket?: unknown }, socket) => {
    const { rawPacket } = error;
    if (Buffer.isBuffer(rawPacket) && rawPacket[0] === handshakeByte && !isTold) {
      isTold = true;
      log("warn", "a client speaks TLS to this server, which does not", {
        from: socket instanceof Socket ? (socket.remoteAddress ?? null) : null,
        mend: "have it ask by http://, or start the server with --dev-tls or --tls-cert and --tls-key",
      });
    }
    const answer = answers.get(socket);
    const isQuiet = answer === undefined || answer.writableFinished || !answer.headersSent;
    const status = statuses[error.code ?? ""] ?? "400 Bad Request";
    if (socket.writable && isQuiet) socket.write(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`);
    socket.destroy(error);
  });
}
