/** Requests of guests whose use has to be on disk first (src/kernel/services/host/host-api.ts). */
import { setImmediate as settle } from "node:timers/promises";
import { expect, test } from "vitest";
import { serviceId, tenantId } from "#base/ids.ts";
import { Answers } from "#kernel/services/host/answers.ts";
import { HostApi, type HostApiOptions, type HostRequest } from "#kernel/services/host/host-api.ts";

function asking(method: string) {
  const stored = Promise.withResolvers<void>();
  const said: string[] = [];
  let sent = 0;
  const answers = new Answers({ answer: (_, text) => void said.push(text), body: () => {} });
  const key = { tenant: tenantId("default"), service: serviceId("target") };
  const send = () => {
    sent += 1;
    return { cancel: () => {} };
  };
  const api = new HostApi({
    find: () => ({ key, send }),
    authority: { authorize: () => ({ recorded: stored.promise, onEnd: () => () => {} }) },
    kv: {},
  } as unknown as HostApiOptions);
  const instance = { answer: (_: number, text: string) => void said.push(text), answers };
  const args = ["target", { method: "GET", url: "http://target/", headers: [] }, null];
  api.handle({ service: { key }, instance, request: 1, method, args } as unknown as HostRequest);
  return { answers, stored, said, sent: () => sent };
}

test("nothing flows before the use is on disk (invariant 3)", async () => {
  const { stored, sent } = asking("services.fetch");
  await settle();
  expect(sent()).toBe(0);
  stored.resolve();
  await settle();
  expect(sent()).toBe(1);
});

test("what was given up before its use is on disk is never begun, and answered once (invariant 3)", async () => {
  const { answers, stored, said, sent } = asking("services.fetch");
  expect(answers.open).toBe(1);
  answers.credit(1, -1);
  stored.resolve();
  await settle();
  expect(sent()).toBe(0);
  expect(said.map((text) => JSON.parse(text.slice(1)).code)).toEqual(["cancelled"]);
  expect(answers.open).toBe(0);
});

test("a use that cannot be written refuses the request, and nothing is open", async () => {
  const { answers, stored, said, sent } = asking("services.fetch");
  stored.reject(new Error("the disk is full"));
  await settle();
  expect([sent(), answers.open, said.length, said[0]![0]]).toEqual([0, 0, 1, "-"]);
});
