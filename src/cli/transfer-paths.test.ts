import { expect, test } from "vitest";
import { parseDownload, parseUpload } from "./transfer-paths.ts";

test.each([
  ["data.csv", "data.csv", "data.csv"],
  ["some/data.csv", "some/data.csv", "data.csv"],
  ["data.csv:/tmp/x", "data.csv", "/tmp/x"],
  ["data.csv:in/", "data.csv", "in/data.csv"],
  ["a:b.csv:c.csv", "a:b.csv", "c.csv"],
  ["src/", "src/", "src"],
  [".:project", ".", "project"],
])("upload %s", (value, local, remote) => {
  expect(parseUpload(value)).toEqual({ local, remote });
});

test.each([
  ["out/report.html", "out/report.html", "report.html"],
  ["report.html:site/", "report.html", "site/report.html"],
  ["/tmp/x:y", "/tmp/x", "y"],
])("download %s", (value, remote, local) => {
  expect(parseDownload(value)).toEqual({ remote, local });
});

test.each(["", ":", "a:", ":b", ".", "..", "/", "a\0b"])("%j is refused by its field", (value) => {
  expect(() => parseUpload(value)).toThrow(
    expect.objectContaining({ code: "invalid", field: "upload" }),
  );
  expect(() => parseDownload(value)).toThrow(
    expect.objectContaining({ code: "invalid", field: "download" }),
  );
});
