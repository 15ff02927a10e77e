import { qemu } from "../../src/drivers/qemu/index.ts";
import { subject } from "./local-driver.ts";
import { conformance } from "./suite.ts";

await conformance(await subject("qemu", qemu));
