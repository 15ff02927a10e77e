/** How a build goes. */
export interface BuildProgress {
  /** A few words: `installing packages`. */
  readonly stage: string;
  /** 0 to 100, never falling; `undefined`: not known. */
  readonly percent: number | undefined;
  /** What it is at just now, a package's name for example; may be empty. */
  readonly detail: string;
}

/** A stretch of the build, in percent of the whole. */
interface Stretch {
  readonly stage: string;
  readonly from: number;
  readonly to: number;
}

/** How mmdebstrap and our own hook announce what they begin, and how much of the whole time it takes. */
const beginnings: readonly (readonly [string, Stretch])[] = [
  ["I: running apt-get update", { stage: "reading package lists", from: 0, to: 5 }],
  ["I: downloading packages", { stage: "downloading the base system", from: 5, to: 12 }],
  ["I: extracting archives", { stage: "unpacking the base system", from: 12, to: 16 }],
  ["I: installing essential", { stage: "installing the base system", from: 16, to: 30 }],
  ["I: installing remaining", { stage: "installing packages", from: 30, to: 90 }],
  ["cofferdam: files", { stage: "copying the recipe's files", from: 90, to: 91 }],
  ["cofferdam: run", { stage: "running the recipe's commands", from: 91, to: 96 }],
  ["cofferdam: finish", { stage: "tidying up", from: 96, to: 97 }],
  ["I: cleaning", { stage: "tidying up", from: 97, to: 98 }],
];
const steps =
  /^(?:Get:\d+ \S+ \S+ \S+ (?<fetched>[a-z0-9]\S*)|(?:Unpacking|Setting up) (?<named>\S+))/;

/** Turns the builder's lines into progress; `undefined` for a line that says nothing new. */
export function progressReader(): (line: string) => BuildProgress | undefined {
  let stretch: Stretch = { stage: "starting", from: 0, to: 0 };
  let packages = 0;
  let done = 0;
  const report = (detail: string): BuildProgress => {
    const share = packages === 0 ? 0 : Math.min(1, done / (packages * 3));
    const percent = Math.floor(stretch.from + (stretch.to - stretch.from) * share);
    return { stage: stretch.stage, percent, detail };
  };
  return (line) => {
    const begun = beginnings.find(([start]) => line.startsWith(start))?.[1];
    if (begun !== undefined && begun.to > stretch.to) {
      stretch = begun;
      packages = 0;
      done = 0;
      return report("");
    }
    const counted = /^\d+ upgraded, (\d+) newly installed/.exec(line)?.[1];
    if (counted !== undefined) packages = Number(counted);
    const step = steps.exec(line)?.groups;
    if (step === undefined) return undefined;
    done += 1;
    return report((step["fetched"] ?? step["named"] ?? "").replace(/:.*$/, ""));
  };
}
