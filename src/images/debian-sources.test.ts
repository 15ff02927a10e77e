import { describe, expect, test } from "vitest";
import { publicSources, sourceLines, sourcesFrom } from "./debian-sources.ts";

const line = (...fields: readonly string[]): string => fields.join("\t");

describe("the mirrors of a host", () => {
  test("are those of its own Debian, other vendors' and backports left aside", () => {
    expect(
      sourcesFrom([
        line("https://download.example.org/linux/debian/", "bookworm", "Vendor", "main"),
        line("http://mirror.example.org/debian/", "bookworm-backports", "Debian Backports", "main"),
        line("http://mirror.example.org/debian/", "bookworm", "Debian", "contrib"),
        line("http://mirror.example.org/debian/", "bookworm", "Debian", "main"),
        line("http://mirror.example.org/debian/", "bookworm-updates", "Debian", "main"),
        line("http://mirror.example.org/security/", "bookworm-security", "Debian", "main"),
      ]),
    ).toEqual({
      main: "http://mirror.example.org/debian",
      security: "http://mirror.example.org/security",
    });
  });

  test("are known by their path before the host's first update", () => {
    expect(
      sourcesFrom([
        line("https://packages.example.org/apt/", "bookworm", "", "main"),
        line("http://mirror.example.org/debian/", "bookworm", "", "main"),
      ]),
    ).toEqual({ main: "http://mirror.example.org/debian", security: publicSources.security });
  });

  test.each([
    ["Ubuntu", line("http://archive.example.org/ubuntu/", "noble", "Ubuntu", "main")],
    ["a disc", line("cdrom://[Debian 12]/debian/", "bookworm", "Debian", "main")],
    ["a folder", line("file:/srv/debian/", "bookworm", "Debian", "main")],
    ["what is no address", line('http://a b"]/debian', "bookworm", "Debian", "main")],
    ["nothing", ""],
  ])("are the public ones where the host has %s", (_, only) => {
    expect(sourcesFrom([only])).toEqual(publicSources);
  });

  test("become signed sources with updates and security fixes", () => {
    const lines = sourceLines("trixie", publicSources);
    expect(lines.map((each) => each.split(" ")[3])).toEqual([
      "trixie",
      "trixie-updates",
      "trixie-security",
    ]);
    for (const each of lines) expect(each).toMatch(/^deb \[signed-by=\/\S+\.gpg\] /);
  });
});
