import { Sandbox } from "e2b";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { subjects } from "../cli/cofferdam.ts";
import { served } from "./serve.ts";

const drivers = await subjects();
served();

for (const { name: driver, absent } of drivers)
  describe.skipIf(absent !== undefined)(`git over the SDK on ${driver}`, () => {
    let sandbox: Sandbox;
    beforeAll(async () => {
      sandbox = await Sandbox.create("base", { metadata: { "cofferdam.driver": driver } });
      await sandbox.git.configureUser("A Name", "name@example.org");
    });
    afterAll(async () => {
      await sandbox.kill();
    });

    test("a repository is made, committed to, pushed and cloned", async () => {
      const { git, files } = sandbox;
      await git.init("/home/user/bare.git", { bare: true, initialBranch: "main" });
      await git.init("/home/user/work", { initialBranch: "main" });
      await files.write("/home/user/work/file", "one\n");
      const { fileStatus } = await git.status("/home/user/work");
      expect(fileStatus).toMatchObject([{ name: "file", status: "untracked", staged: false }]);
      await git.add("/home/user/work");
      await git.commit("/home/user/work", "a first one");
      expect((await git.status("/home/user/work")).isClean).toBe(true);
      await git.remoteAdd("/home/user/work", "origin", "/home/user/bare.git");
      expect(await git.remoteGet("/home/user/work", "origin")).toBe("/home/user/bare.git");
      await git.push("/home/user/work", { remote: "origin", branch: "main" });
      await git.clone("/home/user/bare.git", { path: "/home/user/copy" });
      expect(await files.read("/home/user/copy/file")).toBe("one\n");
      await files.write("/home/user/work/file", "two\n");
      await git.add("/home/user/work");
      await git.commit("/home/user/work", "a second one");
      await git.push("/home/user/work");
      await git.pull("/home/user/copy");
      expect(await files.read("/home/user/copy/file")).toBe("two\n");
    });

    test("branches are made, listed, changed and deleted, and changes taken back", async () => {
      const { git, files } = sandbox;
      const work = "/home/user/branched";
      await git.init(work, { initialBranch: "main" });
      await files.write(`${work}/file`, "one\n");
      await git.add(work);
      await git.commit(work, "a first one");
      await git.createBranch(work, "other");
      const { branches, currentBranch } = await git.branches(work);
      expect([branches.toSorted(), currentBranch]).toEqual([["main", "other"], "other"]);
      await git.checkoutBranch(work, "main");
      await git.deleteBranch(work, "other", { force: true });
      await files.write(`${work}/file`, "changed\n");
      await git.restore(work, { paths: ["file"] });
      expect(await files.read(`${work}/file`)).toBe("one\n");
      expect(await git.getConfig("user.name")).toBe("A Name");
    });

    test("what is not a repository fails with git's own words", async () => {
      const failed = await sandbox.git.status("/tmp").catch((error: unknown) => error);
      expect(failed).toMatchObject({
        exitCode: 128,
        stderr: expect.stringMatching(/not a git repository/),
      });
    });
  });
