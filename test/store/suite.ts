import { auditCases } from "./audit-cases.ts";
import { crashCases } from "./crash-cases.ts";
import { imageCases } from "./image-cases.ts";
import { keyCases } from "./key-cases.ts";
import { metricsCases } from "./metrics-cases.ts";
import { pagingCases } from "./paging-cases.ts";
import { sandboxCases } from "./sandbox-cases.ts";
import { startCases } from "./start-cases.ts";
import type { Subject } from "./subject.ts";
import { tamperingCases } from "./tampering-cases.ts";

/** What every store promises, whatever database it lies in. */
export function storeSuite(subject: Subject): void {
  startCases(subject);
  keyCases(subject);
  sandboxCases(subject);
  pagingCases(subject);
  imageCases(subject);
  metricsCases(subject);
  auditCases(subject);
  tamperingCases(subject);
  crashCases(subject);
}
