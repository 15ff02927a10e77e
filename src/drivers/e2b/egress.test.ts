import { expect, test } from "vitest";
import { refusalOf } from "../../../test/support/refusals.ts";
import { egressFields } from "./egress.ts";

test("what nothing allows does not leave, whatever a service would let out by itself", () => {
  expect(egressFields({ allowOut: [], denyOut: [] })).toEqual({ allow_internet_access: false });
  expect(egressFields({ allowOut: [], denyOut: ["10.0.0.0/8"] })).toEqual({
    allow_internet_access: false,
  });
});

test("what is allowed by name leaves alone, and everything but what is denied where all is allowed", () => {
  expect(
    egressFields({ allowOut: ["API.example.com", "*.example.org", "1.2.3.0/24"], denyOut: [] }),
  ).toEqual({
    allow_internet_access: true,
    network: {
      allowOut: ["api.example.com", "*.example.org", "1.2.3.0/24"],
      denyOut: ["0.0.0.0/0"],
    },
  });
  expect(egressFields({ allowOut: ["0.0.0.0/0", "::/0"], denyOut: ["10.0.0.0/8"] })).toEqual({
    allow_internet_access: true,
    network: { denyOut: ["10.0.0.0/8"] },
  });
});

test("what the protocol cannot say is refused by field, never left out", async () => {
  const refused: readonly (readonly [string[], string[], string])[] = [
    [["example.com"], ["10.0.0.0/8"], "egress.denyOut"],
    [["2606:4700::/32"], [], "egress.allowOut"],
    [["example.com:443"], [], "egress.allowOut"],
    [["*"], [], "egress.allowOut"],
    [["0.0.0.0/0"], ["example.com"], "egress.denyOut"],
    [["1.2.3.4/99"], [], "egress.allowOut"],
  ];
  for (const [allowOut, denyOut, field] of refused)
    expect(await refusalOf(trying(() => egressFields({ allowOut, denyOut })))).toMatchObject({
      code: "unsupported",
      field,
    });
});

/** What the act gives, or throws, as a promise. */
function trying<T>(act: () => T): Promise<T> {
  return Promise.resolve().then(act);
}
