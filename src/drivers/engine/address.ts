import { statSync } from "node:fs";
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import { SandboxError } from "../../core/errors.ts";
import { invalid } from "../../core/validate.ts";

/** Variables that say where an Engine is: DOCKER_HOST and XDG_RUNTIME_DIR are looked at. */
export type EngineEnvironment = Readonly<Record<string, string | undefined>>;

/**
 * The socket of the Engine: the one that was asked for, DOCKER_HOST's, or the first that is there of the usual places.
 *
 * Only a socket of this host will do: what comes over a network would need keys of its own, and everybody who reaches such a
 * port is root there. Throws `unsupported`, `invalid`, `unavailable`.
 */
export function engineSocket(
  asked: string | undefined,
  environment: EngineEnvironment = {},
): string {
  if (asked !== undefined) return parsed("socket", asked);
  const { DOCKER_HOST: host } = environment;
  if (host !== undefined && host !== "") return parsed("DOCKER_HOST", host);
  const found = usualSockets(environment).find(isSocket);
  if (found !== undefined) return found;
  throw new SandboxError("unavailable", "no Engine was found: none of the usual sockets is there", {
    mend: "install Docker (apt install docker.io) and start it, or set DOCKER_HOST to unix://…",
  });
}

function parsed(field: string, text: string): string {
  const scheme = /^([a-z+]+):\/\//.exec(text)?.[1];
  if (scheme !== undefined && scheme !== "unix")
    throw new SandboxError("unsupported", `${field}: ${scheme}:// is no socket of this host`, {
      field,
      mend: "give unix:// and the path of the Engine's socket",
    });
  const path = scheme === undefined ? text : text.slice("unix://".length);
  if (isAbsolute(path) && !path.includes("\0") && path.length < 108) return path;
  throw invalid(field, "expected unix:// and an absolute path of less than 108 bytes");
}

/** Docker's, Docker Desktop's, rootless Docker's and Podman's. */
function usualSockets({ XDG_RUNTIME_DIR: runtime }: EngineEnvironment): readonly string[] {
  const home = homedir();
  const own =
    runtime === undefined
      ? []
      : [join(runtime, "docker.sock"), join(runtime, "podman/podman.sock")];
  return [
    "/run/docker.sock",
    "/var/run/docker.sock",
    join(home, ".docker/desktop/docker.sock"),
    join(home, ".docker/run/docker.sock"),
    ...own,
    "/run/podman/podman.sock",
  ];
}

function isSocket(path: string): boolean {
  try {
    return statSync(path).isSocket();
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
    if (code === "ENOENT" || code === "ENOTDIR" || code === "EACCES") return false;
    throw cause;
  }
}
