import { describe, expect, test } from "vitest";
import { judgeVersion, knownEscapes } from "./versions.ts";

const novemberOf2025 = ["CVE-2025-31133", "CVE-2025-52565", "CVE-2025-52881"];

describe("the gate of runC", () => {
  test.each(["1.2.8", "1.2.9", "1.3.3", "1.3.6+ds1", "1.4.0-rc.3", "1.4.0", "1.5.0-rc.1", "2.0.0"])(
    "%s has no known escape",
    (version) => {
      expect(judgeVersion("runc", version)).toEqual({ escapes: [], reason: undefined });
    },
  );

  test.each(["1.1.12", "1.1.15+ds1", "1.2.7", "1.3.2", "1.4.0-rc.2", "1.4.0-rc2"])(
    "%s lacks the fixes of November 2025",
    (version) => {
      expect(judgeVersion("runc", version).escapes).toEqual(novemberOf2025);
    },
  );

  test("an old one is told with every escape that it has", () => {
    const { escapes, reason } = judgeVersion("runc", "1.0.0-rc6+dev");
    expect(escapes).toEqual([
      "CVE-2019-5736",
      "CVE-2021-30465",
      "CVE-2024-21626",
      ...novemberOf2025,
    ]);
    expect(reason).toContain("1.0.0-rc6+dev");
    expect(reason).toContain("CVE-2019-5736");
  });

  test("Debian 12's own lacks the fix of the leaked directory", () => {
    expect(judgeVersion("runc", "1.1.5+ds1").escapes).toContain("CVE-2024-21626");
  });
});

describe("the gate of gVisor", () => {
  test.each(["20240729.0", "0.0~20240729.0", "release-20250820.0", "release-20260105.1"])(
    "%s is taken",
    (version) => {
      expect(judgeVersion("gvisor", version)).toEqual({ escapes: [], reason: undefined });
    },
  );

  test("one from before systrap is too old, without being an escape", () => {
    const { escapes, reason } = judgeVersion("gvisor", "0.0~20221219.0");
    expect(escapes).toEqual([]);
    expect(reason).toMatch(/too old.*systrap/);
  });

  test("one from before the first filter's mend has an escape", () => {
    expect(judgeVersion("gvisor", "release-20180601.0").escapes).toEqual(["CVE-2018-16359"]);
  });
});

test.each(["", "unknown", "VERSION_MISSING", "1", "1.2", "v1.2.8", "1.2.8 or so", "../1.2.8"])(
  "the version %j cannot be judged, and is refused",
  (version) => {
    expect(judgeVersion("runc", version).reason).toMatch(/cannot be judged/);
    expect(judgeVersion("gvisor", version).reason).toMatch(/cannot be judged/);
  },
);

test("a runtime that the list does not know is refused", () => {
  expect(judgeVersion("other", "1.0.0").reason).toMatch(/cannot be judged/);
});

test("each escape in the list is named once, with a source and versions that can be read", () => {
  for (const [name, { escapes }] of Object.entries(knownEscapes())) {
    expect(new Set(escapes.map(({ cve }) => cve)).size).toBe(escapes.length);
    for (const { cve, fixed } of escapes) {
      expect(cve).toMatch(/^CVE-\d{4}-\d{4,}$/);
      for (const version of fixed) expect(judgeVersion(name, version).escapes).not.toContain(cve);
    }
  }
});
