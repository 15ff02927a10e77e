import { hostCommand } from "./host-command.ts";

/** Where Debian's packages are when the host names no mirror of its own; also what a template's own apt is told. */
export const publicSources: Sources = {
  main: "http://deb.debian.org/debian",
  security: "http://deb.debian.org/debian-security",
};

/** Base addresses of Debian's archives. */
export interface Sources {
  readonly main: string;
  readonly security: string;
}

export const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** The mirrors that the host's own apt is set up for. A host that is not Debian's has none; then the public ones. */
export async function hostSources(signal?: AbortSignal): Promise<Sources> {
  const { lines } = await hostCommand(
    [
      "apt-get",
      "indextargets",
      "--format",
      "$(REPO_URI)\t$(RELEASE)\t$(ORIGIN)\t$(COMPONENT)",
      "Created-By: Packages",
    ],
    { signal },
  );
  return sourcesFrom(lines);
}

/** Reads `apt-get indextargets`: address, release, origin (empty before the first update) and component by tabs. */
export function sourcesFrom(lines: readonly string[]): Sources {
  const archives = lines
    .map((line) => line.split("\t"))
    .filter(([address = "", release = "", origin = "", component = ""]) =>
      isDebian({ address, release, origin, component }),
    )
    .map(([address = "", release = ""]) => ({ address: address.replace(/\/+$/, ""), release }));
  const security = archives.find(({ release }) => release.endsWith("-security"));
  const main =
    archives.find(({ release }) => !release.includes("-")) ??
    archives.find(({ release }) => release.endsWith("-updates"));
  return {
    main: main?.address ?? publicSources.main,
    security: security?.address ?? publicSources.security,
  };
}

interface Archive {
  readonly address: string;
  readonly release: string;
  readonly origin: string;
  readonly component: string;
}

function isDebian({ address, release, origin, component }: Archive): boolean {
  if (component !== "main" || release.endsWith("-backports")) return false;
  if (!/^(mirror\+)?https?:\/\/[^\s"[\]]+$/.test(address)) return false;
  if (origin !== "") return origin === "Debian";
  return /\/debian(-security)?\/*$/.test(address);
}

/** A suite's one-line sources for mmdebstrap, updates and security fixes with it. */
export function sourceLines(suite: string, { main, security }: Sources): readonly string[] {
  const signed = `deb [signed-by=${keyring}]`;
  return [
    `${signed} ${main} ${suite} main`,
    `${signed} ${main} ${suite}-updates main`,
    `${signed} ${security} ${suite}-security main`,
  ];
}
