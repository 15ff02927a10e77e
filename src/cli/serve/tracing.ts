import type * as Otlp from "@opentelemetry/exporter-trace-otlp-proto";
import type * as Resources from "@opentelemetry/resources";
import type * as Node from "@opentelemetry/sdk-trace-node";
import { SandboxError } from "../../core/errors.ts";
import type { Log } from "../../server/log.ts";

/** Where traces go. */
export interface Tracing {
  /** Sends what is left. Never rejects. */
  stop(): Promise<void>;
}

const endpoints = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
const peers = [
  "@opentelemetry/sdk-trace-node",
  "@opentelemetry/exporter-trace-otlp-proto",
  "@opentelemetry/resources",
];

/**
 * Sends traces where OpenTelemetry's own variables say; `undefined` where they name no place. Sampling, batching, headers and
 * resource attributes are read from the environment by OpenTelemetry's packages.
 *
 * Throws `unavailable` where the packages are not installed.
 */
export async function tracing(
  environment: Readonly<Record<string, string | undefined>>,
  { version, log }: { readonly version: string; readonly log: Log },
): Promise<Tracing | undefined> {
  const isOff = environment["OTEL_SDK_DISABLED"]?.toLowerCase() === "true";
  const exporter = environment["OTEL_TRACES_EXPORTER"] || "otlp";
  if (isOff || exporter === "none" || !endpoints.some((name) => environment[name]))
    return undefined;
  refuseOtherProtocols(environment);
  const { node, otlp, resources } = await packages();
  const provider = new node.NodeTracerProvider({
    resource: resources
      .defaultResource()
      .merge(
        resources.resourceFromAttributes({
          "service.name": "cofferdam",
          "service.version": version,
        }),
      )
      .merge(resources.detectResources({ detectors: [resources.envDetector] })),
    spanProcessors: [new node.BatchSpanProcessor(new otlp.OTLPTraceExporter())],
  });
  provider.register();
  return {
    async stop() {
      try {
        await provider.shutdown();
      } catch (cause) {
        log("warn", "the last traces could not be sent", {
          error: SandboxError.from(cause).message,
        });
      }
    },
  };
}

function refuseOtherProtocols(environment: Readonly<Record<string, string | undefined>>): void {
  const name = "OTEL_EXPORTER_OTLP_PROTOCOL";
  const protocol = environment["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] ?? environment[name];
  if (protocol === undefined || protocol === "" || protocol === "http/protobuf") return;
  throw new SandboxError("unsupported", `traces are not sent by ${protocol.slice(0, 40)}`, {
    field: name,
    mend: `set ${name}=http/protobuf, or leave it out`,
  });
}

interface Packages {
  readonly node: typeof Node;
  readonly otlp: typeof Otlp;
  readonly resources: typeof Resources;
}

async function packages(): Promise<Packages> {
  try {
    const [node, otlp, resources] = await Promise.all([
      import("@opentelemetry/sdk-trace-node"),
      import("@opentelemetry/exporter-trace-otlp-proto"),
      import("@opentelemetry/resources"),
    ]);
    return { node, otlp, resources };
  } catch (cause) {
    if (!(cause instanceof Error && "code" in cause && cause.code === "ERR_MODULE_NOT_FOUND"))
      throw cause;
    throw new SandboxError("unavailable", "the packages that send traces are not installed", {
      field: "OTEL_EXPORTER_OTLP_ENDPOINT",
      mend: `npm install ${peers.join(" ")}`,
      cause,
    });
  }
}
