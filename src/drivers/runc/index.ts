import type { Driver } from "../../core/driver.ts";
import { ociDriver, type OciOptions } from "../oci/driver.ts";
import type { Preset } from "../oci/preset.ts";
import { container } from "./container.ts";
import { runcEnforcement } from "./enforcement.ts";
import { requireNoNewNamespaces } from "./inspect.ts";

const preset: Preset = {
  name: "runc",
  isolation: "container",
  program: {
    candidates: ["/opt/cofferdam/runc/runc", "runc"],
    version: /^runc version (\S+)/m,
    mend: "npm run setup",
  },
  mapsIds: true,
  keeps: ["memory", "files"],
  commandGroups: "fd",
  noNewPrivileges: true,
  sudo: false,
  hostPids: (pids) => pids,
  container,
  start: ({ program, places }) => [
    program,
    "--root",
    places.runtime,
    "--log",
    places.runtimeLog,
    "run",
    "--detach",
    "--pid-file",
    places.pidFile,
    "--preserve-fds",
    "1",
    "--bundle",
    places.bundle,
    places.id,
  ],
  checkpoint: undefined,
  remove: ({ program, places }) => [
    program,
    "--root",
    places.runtime,
    "delete",
    "--force",
    places.id,
  ],
  notes: ["refuses sudo: root inside has no capability"],
  inspect: requireNoNewNamespaces,
  enforcement: runcEnforcement,
};

/** Containers by runC: the host's kernel, with namespaces, a filter and no capability between. */
export function runc(options: OciOptions): Driver {
  return ociDriver(preset, options);
}
