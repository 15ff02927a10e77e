import { SandboxError } from "../../core/errors.ts";
import { ownVersion } from "../../wire/control/service-answers.ts";
import type { Api } from "./api.ts";
import { cofferdamService } from "./cofferdam.ts";
import { hostedService } from "./hosted.ts";
import type { Settings } from "./options.ts";
import type { Service } from "./service.ts";

/** Finds out what kind of service it is, once. */
export interface ServiceFinder {
  /** Asks until it is known. */
  find(): Promise<Service>;
  /** `undefined`: not yet. */
  known(): Service | undefined;
  /** Throws why it is not known. */
  must(): Service;
}

export function serviceFinder(api: Api, settings: Settings): ServiceFinder {
  let searching: Promise<Service> | undefined;
  let service: Service | undefined;
  let failure: SandboxError | undefined;
  const search = async (): Promise<Service> => {
    try {
      service = await serviceAt(api, settings);
      return service;
    } catch (cause) {
      searching = undefined;
      failure = SandboxError.from(cause);
      throw failure;
    }
  };
  return {
    find: () => (searching ??= search()),
    known: () => service,
    must() {
      if (service !== undefined) return service;
      throw failure ?? new SandboxError("unavailable", "the service was not asked yet");
    },
  };
}

async function serviceAt(api: Api, settings: Settings): Promise<Service> {
  if (settings.apiKey === undefined)
    throw new SandboxError("unauthenticated", "there is no key for the service", {
      field: "apiKey",
      mend: "give it as apiKey, or in E2B_API_KEY",
    });
  const version = await versionOf(api);
  return version === undefined
    ? hostedService(api, settings)
    : cofferdamService(api, settings, version);
}

/** The version of a server of ours; `undefined`: it is another service, which refuses or misunderstands the question. */
async function versionOf(api: Api): Promise<string | undefined> {
  try {
    const { body } = await api.ask({ method: "GET", path: "/cofferdam/v1/version" });
    const parsed = ownVersion.safeParse(body);
    return parsed.success ? parsed.data.version : undefined;
  } catch (cause) {
    const { code } = SandboxError.from(cause);
    const isAnotherService = ["not-found", "invalid", "denied", "untrusted", "unauthenticated"];
    if (isAnotherService.includes(code)) return undefined;
    throw cause;
  }
}
