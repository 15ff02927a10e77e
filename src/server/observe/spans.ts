import {
  type Attributes,
  type Context,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  context,
  propagation,
  trace,
} from "@opentelemetry/api";
import { SandboxError } from "../../core/errors.ts";

/** Nothing comes of spans until a program has registered where they go. */
const tracerName = "cofferdam";

/** Does the work in a span below the one that is under way. */
export async function inSpan<T>(
  name: string,
  attributes: Attributes,
  work: () => Promise<T>,
): Promise<T> {
  return trace.getTracer(tracerName).startActiveSpan(name, { attributes }, async (span) => {
    try {
      return await work();
    } catch (cause) {
      fail(span, SandboxError.from(cause).code);
      throw cause;
    } finally {
      span.end();
    }
  });
}

/** A request's span, below the one that its `traceparent` names. Attributes and name may be told at its end. */
export interface RequestSpan {
  /** Runs what belongs to it. */
  within<T>(work: () => T): T;
  end(over: {
    readonly name: string;
    readonly status: number;
    readonly attributes: Attributes;
  }): void;
}

export function requestSpan(
  name: string,
  headers: Readonly<Record<string, string | string[] | undefined>>,
): RequestSpan {
  const parent: Context = propagation.extract(ROOT_CONTEXT, headers);
  const span = trace.getTracer(tracerName).startSpan(name, { kind: SpanKind.SERVER }, parent);
  return {
    within: (work) => context.with(trace.setSpan(parent, span), work),
    end({ name: told, status, attributes }) {
      span.updateName(told);
      span.setAttributes({ ...attributes, "http.response.status_code": status });
      if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
      span.end();
    },
  };
}

function fail(span: Span, code: string): void {
  span.setAttribute("error.type", code);
  span.setStatus({ code: SpanStatusCode.ERROR, message: code });
}
