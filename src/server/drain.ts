import { once } from "node:events";
import type { Server } from "node:http";
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
  server.on("connection", (socket) => {
    underWay.set(socket, 0);
    socket.once("close", () => underWay.delete(socket));
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
