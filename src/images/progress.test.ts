import * as fc from "fast-check";
import { expect, test } from "vitest";
import { progressReader } from "./progress.ts";

const build = `I: running apt-get update...
Get:1 http://mirror.example.org/debian trixie InRelease [140 kB]
I: downloading packages with apt...
0 upgraded, 2 newly installed, 0 to remove and 0 not upgraded.
Get:1 http://mirror.example.org/debian trixie/main amd64 base-files amd64 13.8 [73.2 kB]
I: extracting archives...
I: installing essential packages...
Unpacking base-files (13.8) ...
Setting up base-files (13.8) ...
I: installing remaining packages inside the chroot...
0 upgraded, 1 newly installed, 0 to remove and 0 not upgraded.
Get:1 http://mirror.example.org/debian trixie/main amd64 python3 amd64 3.13.5-1 [28.2 kB]
Unpacking python3:amd64 (3.13.5-1) ...
Setting up python3:amd64 (3.13.5-1) ...
cofferdam: files
cofferdam: run
cofferdam: finish
I: cleaning package lists and apt cache...`.split("\n");

test("a build's lines become stages in order, with the package at hand", () => {
  const read = progressReader();
  const shown = build.map(read).filter((each) => each !== undefined);
  expect([...new Set(shown.map(({ stage }) => stage))]).toEqual([
    "reading package lists",
    "downloading the base system",
    "unpacking the base system",
    "installing the base system",
    "installing packages",
    "copying the recipe's files",
    "running the recipe's commands",
    "tidying up",
  ]);
  expect(shown.map(({ detail }) => detail).filter((detail) => detail !== "")).toEqual([
    ...Array.from({ length: 3 }, () => "base-files"),
    ...Array.from({ length: 3 }, () => "python3"),
  ]);
  expect(shown.at(-1)?.percent).toBe(97);
});

test("the percentage never falls and never leaves 0 to 100, whatever the lines are and in whatever order", () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.constantFrom(...build), fc.string())), (lines) => {
      const read = progressReader();
      let last = 0;
      for (const line of lines) {
        const percent = read(line)?.percent ?? last;
        expect(percent).toBeGreaterThanOrEqual(last);
        expect(percent).toBeLessThanOrEqual(100);
        last = percent;
      }
    }),
  );
});
