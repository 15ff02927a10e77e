import { Counter, Gauge, Histogram, type Registry } from "prom-client";

/** Everything that is counted, by the name that Prometheus knows it by. */
export interface Instruments {
  readonly build: Gauge;
  readonly creates: Histogram;
  readonly failures: Counter;
  readonly sandboxes: Gauge;
  readonly calls: Histogram;
  readonly refusals: Counter;
  readonly store: Histogram;
  readonly storeFailures: Counter;
  readonly bytes: Counter;
  readonly open: Gauge;
  readonly visits: Counter;
  readonly expiry: Gauge;
  readonly reloads: Counter;
}

/** From a thawed sandbox to the slow start of a big image. Seconds. */
const createBuckets = [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 30, 60];
const callBuckets = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30];
const storeBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5];

export function instrumentsIn(registry: Registry): Instruments {
  const registers = [registry];
  const gauge = (name: string, help: string, labelNames: string[] = []): Gauge =>
    new Gauge({ name: `cofferdam_${name}`, help, labelNames, registers });
  const counter = (name: string, help: string, labelNames: string[]): Counter =>
    new Counter({ name: `cofferdam_${name}`, help, labelNames, registers });
  const histogram = (
    name: string,
    { help, labelNames, buckets }: { help: string; labelNames: string[]; buckets: number[] },
  ): Histogram =>
    new Histogram({ name: `cofferdam_${name}`, help, labelNames, buckets, registers });
  return {
    build: gauge("build_info", "1, with the version of the server", ["version"]),
    creates: histogram("sandbox_create_seconds", {
      help: "How long machines took to be made",
      labelNames: ["driver", "template"],
      buckets: createBuckets,
    }),
    failures: counter("sandbox_create_failures_total", "Machines that were not made", [
      "driver",
      "code",
    ]),
    sandboxes: gauge("sandboxes", "Sandboxes that have not ended, by state", ["state"]),
    calls: histogram("call_seconds", {
      help: "How long calls of the control plane took",
      labelNames: ["operation", "status"],
      buckets: callBuckets,
    }),
    refusals: counter("call_failures_total", "Calls that failed, by the error's code", [
      "operation",
      "code",
    ]),
    store: histogram("store_seconds", {
      help: "How long the store took",
      labelNames: ["operation"],
      buckets: storeBuckets,
    }),
    storeFailures: counter("store_failures_total", "What the store could not do", [
      "operation",
      "code",
    ]),
    bytes: counter("proxy_bytes_total", "Bodies' and tunnels' bytes, to sandboxes and from them", [
      "direction",
    ]),
    open: gauge("proxy_open", "Requests and tunnels to sandboxes under way", ["port"]),
    visits: counter("proxy_requests_total", "Requests to sandboxes that are over", [
      "port",
      "status",
    ]),
    expiry: gauge("certificate_expiry_seconds", "When the certificate expires, in Unix seconds"),
    reloads: counter("certificate_reloads_total", "Looks at new certificate files", ["result"]),
  };
}
