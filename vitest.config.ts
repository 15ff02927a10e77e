import { defineConfig } from "vitest/config";

/** Suites that start real machines or other processes: one file at a time, with time to spare on a busy host. */
const serial = { fileParallelism: false, testTimeout: 120_000, hookTimeout: 120_000, retry: 1 };
/** Suites whose files have a state directory each, and mostly wait. */
const atOnce = new Set(["cli", "server"]);
const suites = {
  security: "test/security/**/*.test.ts",
  templates: "test/templates/**/*.test.ts",
  cli: "test/cli/**/*.test.ts",
  server: "test/server/{sdk,control,operate,tls}*.test.ts",
  chaos: "test/chaos/**/*.test.ts",
  examples: "test/examples/**/*.test.ts",
  conformance: "test/conformance/**/*.test.ts",
};

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["src/**/*.test.ts", "test/**/*.test.ts"],
          exclude: Object.values(suites),
          testTimeout: 60_000,
        },
      },
      ...Object.entries(suites).map(([name, files]) => ({
        test: {
          name,
          include: [files],
          ...serial,
          ...(atOnce.has(name) ? { fileParallelism: true, maxWorkers: 3 } : {}),
        },
      })),
    ],
  },
});
