import { setTimeout as sleep } from "node:timers/promises";
import { noSandbox } from "../../core/create.ts";
import type { Driver, Machine, MachineInfo } from "../../core/driver.ts";
import { SandboxError } from "../../core/errors.ts";
import type { SandboxSpec } from "../../core/spec.ts";
import { cancelled, notAborted } from "../../core/validate.ts";
import { endedError } from "../../guest/lifeline.ts";
import type { MadeSandbox } from "../../wire/control/service-answers.ts";
import { type Api, serviceApi } from "./api.ts";
import { isGone, killSandbox } from "./calls.ts";
import { serviceFinder } from "./discovery.ts";
import { reasonOf } from "./end-reason.ts";
import { machineInfo, serviceMachine } from "./machine.ts";
import { type E2bOptions, settingsOf } from "./options.ts";
import type { Service } from "./service.ts";

const idForm = /^i[a-z0-9]{20}$/;
/** How long an aborted creation waits for what it has to undo. Milliseconds. */
const undoMs = 30_000;
const minimal = new Set(["code"] as const);

/**
 * Machines by a service of E2B's kind: E2B itself, or a Cofferdam on another host.
 *
 * Asks the service once what it is. Where that fails, `probe()` says why, `enforcement()` and every use throw it, and the next
 * use asks again. Throws `invalid` for bad options.
 */
export async function e2b(options: E2bOptions): Promise<Driver> {
  const settings = settingsOf(options);
  const api = serviceApi(settings);
  const finder = serviceFinder(api, settings);
  await finder.find().catch(() => undefined);
  return {
    name: "e2b",
    isolation: "hosted",
    get capabilities() {
      return finder.known()?.capabilities ?? minimal;
    },
    get snapshots() {
      return finder.known()?.shelf;
    },
    async probe() {
      try {
        const service = await finder.find();
        await service.check();
        return { ok: true, version: service.version, notes: service.notes };
      } catch (cause) {
        const { message, mend } = SandboxError.from(cause);
        return { ok: false, reason: message, mend: mend ?? "see what the service says" };
      }
    },
    enforcement: (spec) => finder.must().enforcement(spec),
    async create(spec, signal) {
      const service = await finder.find();
      service.enforcement(spec);
      const made = await making(api, service, { spec, signal });
      return serviceMachine(service, made, service.keep(made.id, "running", spec.lease));
    },
    open: async (id) => open(await finder.find(), id),
    list: () => list(() => finder.find()),
    sweep: () => Promise.resolve([]),
  };
}

interface Wanted {
  readonly spec: SandboxSpec;
  readonly signal: AbortSignal | undefined;
}

/** A new sandbox; one that is there after an abort is ended before the abort is told. */
async function making(api: Api, service: Service, { spec, signal }: Wanted): Promise<MadeSandbox> {
  notAborted(signal);
  const made = service.make(spec).catch((cause: unknown) => {
    throw creationError(cause);
  });
  if (signal === undefined) return made;
  const abort = aborted(signal);
  try {
    const first = await Promise.race([made, abort.happened]);
    if (first !== undefined && !signal.aborted) return first;
    const undone = made.then(
      ({ id }) => killSandbox(api, id),
      () => undefined,
    );
    await Promise.race([undone, sleep(undoMs, undefined, { ref: false })]);
    throw cancelled(signal);
  } finally {
    abort.forget();
  }
}

interface Abort {
  readonly happened: Promise<undefined>;
  readonly forget: () => void;
}

function aborted(signal: AbortSignal): Abort {
  const forgotten = new AbortController();
  const happened = new Promise<undefined>((resolve) => {
    const options = { once: true, signal: forgotten.signal };
    signal.addEventListener("abort", () => resolve(undefined), options);
  });
  return { happened, forget: () => forgotten.abort() };
}

/** Where a creation finds nothing, it is the template. */
function creationError(cause: unknown): unknown {
  if (!(cause instanceof SandboxError) || cause.code !== "not-found") return cause;
  const { message, mend = "name one of the service's templates" } = cause;
  return new SandboxError("not-found", message, { field: "template", mend, cause });
}

async function open(service: Service, id: string): Promise<Machine> {
  if (!idForm.test(id)) throw noSandbox(id.slice(0, 64));
  const told = await service.find(id).catch((cause: unknown) => {
    if (!isGone(cause)) throw cause;
    throw noSandbox(id, cause);
  });
  const { state } = told;
  if (state !== "ended") return serviceMachine(service, told, service.keep(id, state, undefined));
  const { message, mend } = endedError(id, reasonOf(told));
  throw new SandboxError("not-found", message, mend === undefined ? {} : { mend });
}

async function* list(find: () => Promise<Service>): AsyncGenerator<MachineInfo> {
  const service = await find();
  for await (const told of service.list()) yield machineInfo(told);
}
