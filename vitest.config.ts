import { defineConfig } from "vitest/config";

/** Suites that start real machines or other processes: one file at a time, with time to spare on a busy host. */
const serial = { fileParallelism: false, testTimeout: 120_000, hookTimeout: 120_000 };
const suites = ["security", "templates", "cli", "examples", "conformance"];

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["src/**/*.test.ts", "test/**/*.test.ts"],
          exclude: suites.map((name) => `test/${name}/**`),
          testTimeout: 60_000,
        },
      },
      ...suites.map((name) => ({
        test: { name, include: [`test/${name}/**/*.test.ts`], ...serial },
      })),
    ],
  },
});
