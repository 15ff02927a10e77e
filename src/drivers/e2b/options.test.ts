import { expect, test } from "vitest";
import { refusalOf } from "../../../test/support/refusals.ts";
import { e2bOptionsFrom, settingsOf } from "./options.ts";

test("E2B's own variables mean what they mean to its clients", () => {
  const options = e2bOptionsFrom({
    E2B_API_KEY: "e2b_1",
    E2B_API_URL: "http://127.0.0.1:3999",
    E2B_SANDBOX_URL: "http://127.0.0.1:3999/",
    E2B_DOMAIN: "sbx.example.org:8443",
  });
  const { apiKey, apiUrl, sandboxUrl, domain } = settingsOf(options);
  expect([apiKey, apiUrl.href, sandboxUrl?.href, domain]).toEqual([
    "e2b_1",
    "http://127.0.0.1:3999/",
    "http://127.0.0.1:3999/",
    "sbx.example.org:8443",
  ]);
});

test("without an address it is E2B's own service, and with a domain alone that one's", () => {
  expect(settingsOf({ apiKey: "k" }).apiUrl.href).toBe("https://api.e2b.app/");
  expect(settingsOf({ domain: "sbx.example.org:8443" }).apiUrl.href).toBe(
    "https://api.sbx.example.org:8443/",
  );
  expect(e2bOptionsFrom({ E2B_API_KEY: "" }).apiKey).toBeUndefined();
});

test("a wrong option is refused by its field", async () => {
  const wrong: readonly (readonly [Parameters<typeof settingsOf>[0], string])[] = [
    [{ apiKey: "a\r\nb" }, "apiKey"],
    [{ apiUrl: "ftp://example.org" }, "apiUrl"],
    [{ sandboxUrl: "http://user:secret@example.org" }, "sandboxUrl"],
    [{ domain: "no/such" }, "domain"],
    [{ leaseMs: 10 }, "leaseMs"],
    [{ requestTimeoutMs: 0.5 }, "requestTimeoutMs"],
  ];
  for (const [options, field] of wrong)
    expect(await refusalOf(trying(() => settingsOf(options)))).toMatchObject({
      code: "invalid",
      field,
    });
  expect(await refusalOf(trying(() => e2bOptionsFrom({ E2B_DEBUG: "true" })))).toMatchObject({
    code: "unsupported",
    field: "E2B_DEBUG",
  });
});

/** What the act gives, or throws, as a promise. */
function trying<T>(act: () => T): Promise<T> {
  return Promise.resolve().then(act);
}
