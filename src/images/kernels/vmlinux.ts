import { execFile } from "node:child_process";
import { gunzipSync } from "node:zlib";
import { SandboxError } from "../../core/errors.ts";
import { isLz4, unpackLz4 } from "./lz4.ts";

/** Offsets in the header of a kernel's image, as Linux's boot protocol has them. */
const setupSectors = 0x1f1;
const signature = 0x202;
const payloadOffset = 0x248;
const payloadLength = 0x24c;
const sectorBytes = 512;
const mostBytes = 512 * 1024 * 1024;

const elf = Buffer.from([0x7f, 0x45, 0x4c, 0x46]);
const gzip = Buffer.from([0x1f, 0x8b]);

/** Formats that a tool of the host unpacks. */
const tools = [
  { magic: Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]), program: "xz", package: "xz-utils" },
  { magic: Buffer.from([0x28, 0xb5, 0x2f, 0xfd]), program: "zstd", package: "zstd" },
];

/**
 * The kernel itself out of the image that a boot loader starts, which would unpack it at each boot.
 *
 * Throws `untrusted` for what is no image or not whole, `unavailable` where a tool is missing.
 */
export async function extractVmlinux(image: Buffer): Promise<Buffer> {
  if (image.length < 1024 || image.toString("latin1", signature, signature + 4) !== "HdrS")
    throw broken("it has no header");
  const sectors = image.readUInt8(setupSectors) || 4;
  const begin = (sectors + 1) * sectorBytes + image.readUInt32LE(payloadOffset);
  const payload = image.subarray(begin, begin + image.readUInt32LE(payloadLength));
  const kernel = await unpack(payload);
  if (!startsWith(kernel, elf)) throw broken("what it holds is no ELF file");
  return kernel;
}

async function unpack(payload: Buffer): Promise<Buffer> {
  if (isLz4(payload)) return unpackLz4(payload, mostBytes);
  if (startsWith(payload, gzip)) return gunzip(payload);
  const tool = tools.find(({ magic }) => startsWith(payload, magic));
  if (tool === undefined) throw broken("it is packed in a way that is not known");
  return byTool(payload, tool);
}

function gunzip(payload: Buffer): Buffer {
  try {
    return gunzipSync(payload, { maxOutputLength: mostBytes });
  } catch (cause) {
    throw broken("it is not whole", cause);
  }
}

function byTool(payload: Buffer, tool: (typeof tools)[number]): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      `/usr/bin/${tool.program}`,
      ["-d", "-c"],
      { encoding: "buffer", maxBuffer: mostBytes, env: {}, cwd: "/" },
      (error, stdout) => {
        if (error === null) resolve(stdout);
        else if (error.code === "ENOENT") reject(missing(tool.program, tool.package));
        // What follows a kernel's payload is its size, of which a tool complains when all is unpacked.
        else if (startsWith(stdout, elf)) resolve(stdout);
        else reject(broken("it is not whole", error));
      },
    );
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(payload);
  });
}

function startsWith(bytes: Buffer, magic: Buffer): boolean {
  return bytes.subarray(0, magic.length).equals(magic);
}

function missing(program: string, packageName: string): SandboxError {
  return new SandboxError("unavailable", `${program} is not installed`, {
    mend: `install it: apt-get install ${packageName}`,
  });
}

function broken(why: string, cause?: unknown): SandboxError {
  return new SandboxError("untrusted", `the kernel's image cannot be unpacked: ${why}`, {
    cause,
    mend: "fetch it again: cofferdam kernel update",
  });
}
