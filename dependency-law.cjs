/** The dependency law: a layer may use the layers listed after it, and nothing else. */
const layers = {
  core: [],
  policy: ["core"],
  wire: ["core"],
  guest: ["core", "wire"],
  images: ["core"],
  conformance: ["core"],
  bench: ["core"],
  store: ["core"],
  audit: ["core", "store"],
  drivers: ["core", "policy", "wire", "guest", "images"],
  server: ["core", "wire", "store", "audit"],
  library: ["core", "drivers", "images"],
  cli: [
    "core",
    "policy",
    "wire",
    "guest",
    "images",
    "store",
    "audit",
    "server",
    "drivers",
    "library",
    "conformance",
    "bench",
  ],
};

const inside = (layer) => `^src/${layer}/`;

module.exports = {
  forbidden: [
    ...Object.entries(layers).map(([layer, uses]) => ({
      name: `${layer} uses only ${uses.join(", ") || "itself"}`,
      severity: "error",
      from: { path: inside(layer), pathNot: "[.]test[.]ts$" },
      to: { path: "^src/", pathNot: [layer, ...uses].map(inside) },
    })),
    {
      name: "a driver never uses another driver",
      severity: "error",
      from: { path: "^src/drivers/([^/]+)/" },
      to: {
        path: "^src/drivers/",
        pathNot: [
          "^src/drivers/$1/",
          "^src/drivers/local/",
          "^src/drivers/oci/",
          "^src/drivers/microvm/",
          "^src/drivers/engine/",
        ],
      },
    },
    {
      name: "only runc and gvisor use oci",
      severity: "error",
      from: { path: "^src/drivers/", pathNot: "^src/drivers/(oci|runc|gvisor)/" },
      to: { path: inside("drivers/oci") },
    },
    {
      name: "only firecracker and qemu use microvm",
      severity: "error",
      from: { path: "^src/drivers/", pathNot: "^src/drivers/(microvm|firecracker|qemu)/" },
      to: { path: inside("drivers/microvm") },
    },
    {
      name: "only docker and kata use engine",
      severity: "error",
      from: { path: "^src/drivers/", pathNot: "^src/drivers/(engine|docker|kata)/" },
      to: { path: inside("drivers/engine") },
    },
    {
      name: "local is for drivers of this host's own machines",
      severity: "error",
      from: {
        path: "^src/drivers/",
        pathNot:
          "^src/drivers/(local|oci|runc|gvisor|microvm|firecracker|qemu|engine|docker|kata)/",
      },
      to: { path: inside("drivers/local") },
    },
    {
      name: "local uses no driver",
      severity: "error",
      from: { path: inside("drivers/local") },
      to: { path: "^src/drivers/", pathNot: inside("drivers/local") },
    },
    {
      name: "the library knows drivers by their list alone",
      severity: "error",
      from: { path: inside("library") },
      to: { path: inside("drivers"), pathNot: "^src/drivers/builtin[.]ts$" },
    },
    {
      name: "core and policy touch no package and no Node module",
      severity: "error",
      from: { path: "^src/(core|policy)/", pathNot: "[.]test[.]ts$" },
      to: { dependencyTypes: ["core", "npm", "npm-dev", "npm-optional", "npm-peer"] },
    },
    {
      name: "no development package in what ships",
      severity: "error",
      from: { path: "^src/", pathNot: "[.]test[.]ts$" },
      to: {
        dependencyTypes: ["npm-dev"],
        dependencyTypesNot: ["npm-peer", "npm-optional"],
        pathNot: "node_modules/@types/",
      },
    },
    { name: "no cycles", severity: "error", from: {}, to: { circular: true } },
    {
      name: "no folder outside the law",
      severity: "error",
      from: { path: "^src/[^/]+/", pathNot: Object.keys(layers).map(inside) },
      to: {},
    },
  ],
  options: {
    tsConfig: { fileName: "tsconfig.json" },
    tsPreCompilationDeps: true,
    doNotFollow: { path: "node_modules" },
  },
};
