import { once } from "node:events";
import { createServer } from "node:http";
import { buffer } from "node:stream/consumers";
import { portOf } from "./data-rig.ts";

/** A span as a collector receives it. */
export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** Empty: none. */
  readonly parentId: string;
  readonly name: string;
}

/** The receiving end of OTLP over HTTP, with protobuf. */
export interface TraceReceiver extends AsyncDisposable {
  readonly url: string;
  readonly spans: ReceivedSpan[];
  /** Every text that came, in one piece. */
  said(): string;
}

export async function traceReceiver(): Promise<TraceReceiver> {
  const spans: ReceivedSpan[] = [];
  const bodies: Buffer[] = [];
  const server = createServer((request, response) => {
    void buffer(request).then((body) => {
      if (
        request.url !== "/v1/traces" ||
        request.headers["content-type"] !== "application/x-protobuf"
      )
        return response.writeHead(400).end();
      bodies.push(body);
      spans.push(...spansIn(body));
      return response.writeHead(200, { "content-type": "application/x-protobuf" }).end();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${portOf(server)}`,
    spans,
    said: () => Buffer.concat(bodies).toString("latin1"),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

const resourceSpans = 1;
const scopeSpans = 2;
const span = 2;

function spansIn(body: Buffer): readonly ReceivedSpan[] {
  return parts(body, resourceSpans)
    .flatMap((resource) => parts(resource, scopeSpans))
    .flatMap((scope) => parts(scope, span))
    .map((each) => ({
      traceId: parts(each, 1)[0]?.toString("hex") ?? "",
      spanId: parts(each, 2)[0]?.toString("hex") ?? "",
      parentId: parts(each, 4)[0]?.toString("hex") ?? "",
      name: parts(each, 5)[0]?.toString() ?? "",
    }));
}

const fixedBytes: Readonly<Record<number, number>> = { 1: 8, 5: 4 };

/** The fields of a protobuf message that have the number and are messages, bytes or text. */
function parts(message: Buffer, wanted: number): readonly Buffer[] {
  const found: Buffer[] = [];
  let at = 0;
  const number = (): number => {
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      const byte = message[at] ?? 0;
      at += 1;
      value += (byte & 0x7f) * shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const tag = number();
    const kind = tag & 7;
    if (kind === 2) {
      const length = number();
      if (tag >> 3 === wanted) found.push(message.subarray(at, at + length));
      at += length;
    } else if (kind === 0) number();
    else at += fixedBytes[kind] ?? message.length;
  }
  return found;
}
