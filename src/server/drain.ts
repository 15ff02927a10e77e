import { once } from "node:events";
import type { Server } from "node:http";
import { Server as SecuredServer } from "node:https";
import type { Socket } from "node:net";

/** Ends a server: takes no new connection, and waits for the answers that are under way, but not longer than told. */
export type Drain = (patienceMs: number) => Promise<void>;

const lookEveryMs = 25;

/** Follows what is under way on each connection: node:http does not count one that never asked for anything as idle. */
export function drainable(server: Server): Drain {
  const underWay = new Map<Socket, number>();
  const count = (socket: Socket, change: number): void => {
    const before = underWay.get(socket);
    if (before !== undefined) underWay.set(socket, before + change);
  };
  const follow = (socket: Socket): void => {
    underWay.set(socket, 0);
    socket.once("close", () => underWay.delete(socket));
  };
  server.on("connection", follow);
  if (server instanceof SecuredServer)
    onceSecured(server, (before, socket) => {
      underWay.delete(before);
      follow(socket);
    });
  for (const event of ["request", "checkContinue"] as const)
    server.on(event, (request, response) => {
      const { socket } = request;
      count(socket, 1);
      response.once("close", () => count(socket, -1));
    });
  server.on("upgrade", ({ socket }) => count(socket, 1));
  return async (patienceMs) => {
    const closed = once(server, "close");
    server.close();
    const closing = setInterval(() => {
      for (const [socket, requests] of underWay) if (requests === 0) socket.destroy();
    }, lookEveryMs);
    let timer: NodeJS.Timeout | undefined;
    const enough = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, patienceMs);
    });
    await Promise.race([closed, enough]);
    clearInterval(closing);
    clearTimeout(timer);
  };
}

/** A connection is one socket until TLS is agreed on, and another, on which requests come, from then on. */
function onceSecured(
  server: SecuredServer,
  secured: (before: Socket, socket: Socket) => void,
): void {
  const greeting = new Map<string, Socket>();
  server.on("connection", (socket: Socket) => {
    const peer = peerOf(socket);
    greeting.set(peer, socket);
    socket.once("close", () => {
      if (greeting.get(peer) === socket) greeting.delete(peer);
    });
  });
  server.on("secureConnection", (socket) => {
    const peer = peerOf(socket);
    const before = greeting.get(peer);
    greeting.delete(peer);
    if (before !== undefined) secured(before, socket);
  });
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
