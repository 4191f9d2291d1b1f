/** Secrets as their users have them: over REST, gRPC and the command line, and in services. */
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stockClient, type StockClient } from "../support/grpc-client.ts";
import { startKernel, type TestKernel, until } from "../support/kernel.ts";
import { descendants } from "../support/processes.ts";
import { runCli } from "../support/run-cli.ts";
import { formsOf } from "#vault/secret-forms.ts";

let kernel: TestKernel;
let grpc: StockClient;
let directory: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "solo-secrets-"));
  kernel = await startKernel();
  const [host = "", port] = kernel.grpc.split(":");
  grpc = stockClient({ host, port: Number(port) });
});
afterAll(async () => {
  grpc.close();
  await kernel[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

/** Everything here that must never be seen where it does not belong. */
const values: string[] = [];
const newValue = (): string => {
  const value = `v-${randomBytes(18).toString("base64url")}`;
  values.push(value);
  return value;
};

const cli = (args: string[], stdin = "") => runCli(args, { dataDir: kernel.dataDir, stdin });
const overGrpc = (name: string, request: object) =>
  grpc.unary(name, request, { metadata: { authorization: `Bearer ${kernel.token}` } });
/** Those that are recorded, once there are so many. */
const eventsOf = (event_type: string, name: string, count: number) =>
  until(async () => {
    const all = await kernel.events({ event_type });
    const found = all.filter(({ subject }) => subject === name);
    return found.length >= count ? found : undefined;
  }, `${event_type} of ${name}`);

describe("a secret", () => {
  test("stored over one way in is read over every other", async () => {
    const value = newValue();
    const stored = await kernel.request("POST", "/secrets", { name: "ways", value });
    expect(stored).toMatchObject({ status: 201, body: { name: "ways", version: 1 } });
    const read = await kernel.request("GET", "/secrets/ways");
    expect(read).toMatchObject({ status: 200, body: { value, version: 1 } });
    expect(await overGrpc("RetrieveSecret", { name: "ways" })).toMatchObject({ value, version: 1 });
    expect(await cli(["secrets", "get", "ways"])).toEqual({ code: 0, stdout: value, stderr: "" });
  });

  test("keeps its bytes", async () => {
    const bytes = Buffer.from([0, 255, 128, 10]);
    await overGrpc("StoreSecret", { name: "bytes", value_base64: bytes.toString("base64") });
    const { body } = await kernel.request("GET", "/secrets/bytes");
    expect(body).toMatchObject({ value_base64: bytes.toString("base64") });
    expect(body).not.toHaveProperty("value");
  });

  test("has versions, of which the latest is given unless one is named", async () => {
    const [first, second] = [newValue(), newValue()];
    await cli(["secrets", "set", "aged"], `${first}\n`);
    const rotated = await cli(["secrets", "rotate", "aged", "--json"], second);
    expect(JSON.parse(rotated.stdout)).toMatchObject({ name: "aged", version: 2 });
    expect((await cli(["secrets", "get", "aged"])).stdout).toBe(second);
    expect((await cli(["secrets", "get", "aged", "--secret-version", "1"])).stdout).toBe(first);
    const listed = (await kernel.request("GET", "/secrets")).body.secrets as { name: string }[];
    expect(listed.find(({ name }) => name === "aged")).toMatchObject({
      latest: 2,
      versions: [{ version: 1 }, { version: 2 }],
    });
    expect(JSON.stringify(listed)).not.toContain(first);
    expect(await cli(["secrets", "revoke", "aged", "--secret-version", "2"])).toMatchObject({
      code: 0,
    });
    expect((await cli(["secrets", "get", "aged"])).stdout).toBe(first);
    await kernel.request("DELETE", "/secrets/aged");
    expect((await cli(["secrets", "get", "aged"])).code).toBe(4);
    expect(await eventsOf("secret_revoked", "aged", 2)).toHaveLength(2);
  });

  test("that is rotated must be there", async () => {
    expect((await cli(["secrets", "rotate", "nobody"], "x-value")).code).toBe(4);
  });

  test("belongs to its tenant alone", async () => {
    await kernel.request("POST", "/secrets", { name: "mine", value: newValue() });
    const other = await kernel.tenant("other").request("GET", "/secrets/mine");
    expect(other).toMatchObject({ status: 404, body: { code: "not_found" } });
  });

  test("is on record each time that it is read, and never its value", async () => {
    const value = newValue();
    await kernel.request("POST", "/secrets", { name: "watched", value });
    await kernel.request("GET", "/secrets/watched");
    const [accessed] = await eventsOf("secret_accessed", "watched", 1);
    expect(accessed).toMatchObject({ payload: { version: 1, by: "api" } });
  });

  test("is never taken from an argument", async () => {
    const { code, stderr, stdout } = await cli(["secrets", "set", "argued", "the-value"]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain("A value is never an argument");
    expect(stderr).not.toContain("the-value");
    expect((await kernel.request("GET", "/secrets/argued")).status).toBe(404);
  });

  test("of no content, of too much, or in two forms is refused by its field", async () => {
    const store = async (body: object) =>
      (await kernel.request("POST", "/secrets", { name: "bad", ...body })).body as object;
    const refused = (field: string) => ({ code: "invalid_argument", errors: [{ field }] });
    expect(await store({})).toMatchObject(refused("value"));
    expect(await store({ value: "" })).toMatchObject(refused("value"));
    expect(await store({ value: "a", value_base64: "YQ==" })).toMatchObject(refused("value"));
    expect(await store({ value: "é".repeat(40_000) })).toMatchObject(refused("value"));
    expect(await store({ value: "a", key_base64: "YQ==" })).toMatchObject(refused("key_base64"));
    expect(await store({ name: "../x", value: "a" })).toMatchObject(refused("name"));
  });
});

describe("a secret with its caller's key", () => {
  const value = newValue();
  const key = newValue();

  test("opens with that key alone, and every other is refused and on record", async () => {
    const keyFile = join(directory, "key");
    writeFileSync(keyFile, `${key}\n`);
    expect((await cli(["secrets", "set", "locked", "--key-file", keyFile], value)).code).toBe(0);
    const opened = await kernel.request("POST", "/secrets/locked/retrieve", { key });
    expect(opened).toMatchObject({ status: 200, body: { value } });
    expect((await cli(["secrets", "get", "locked", "--key-file", keyFile])).stdout).toBe(value);

    const wrong = await kernel.request("POST", "/secrets/locked/retrieve", { key: "another" });
    expect(wrong).toMatchObject({ status: 403, body: { code: "permission_denied" } });
    expect((await kernel.request("GET", "/secrets/locked")).status).toBe(403);
    expect(await eventsOf("secret_access_denied", "locked", 2)).toHaveLength(2);
  });

  test("is nothing that a service can be bound to", async () => {
    const code = "export default {}";
    const secrets = [{ name: "locked" }];
    const { status, body } = await kernel.request("POST", "/services", {
      service_id: "locked-out",
      code,
      secrets,
    });
    expect({ status, code: body.code }).toEqual({ status: 400, code: "invalid_argument" });
    expect(body.errors[0].field).toBe("secrets.0.name");
  });
});

const SERVICE = `export default {
  init: () => ({ runs: 0 }),
  calls: {
    get: (solo, name) => solo.secrets.get(name),
    length: async (solo, name) => (await solo.secrets.getBytes(name)).length,
    async leak(solo, name) {
      const value = await solo.secrets.get(name);
      console.log("plain", value, { nested: value });
      console.error(btoa(value), encodeURIComponent(value), btoa("user:" + value));
      const bytes = new TextEncoder().encode(value);
      console.log("in pieces", value.slice(0, 9), value.slice(9), bytes, bytes.buffer, [...bytes]);
      console.log("wrapped", btoa(value).replace(/.{12}/g, "$&\\n"), JSON.stringify({ bytes }));
      await solo.events.emit("leaked", { value, [value]: 1, list: [btoa(value)], bytes, numbers: [...bytes], other: [1, 2, 3] });
      return "said";
    },
    async refuse(solo, name) {
      throw Object.assign(new Error("no: " + (await solo.secrets.get(name))), {
        name: "ServiceError", code: "refused",
      });
    },
    async crash(solo, name) { throw new TypeError("crashed with " + (await solo.secrets.get(name))); },
  },
};`;

describe("a service", () => {
  let value: string;
  beforeAll(async () => {
    value = newValue();
    await kernel.request("POST", "/secrets", { name: "api", value });
    await kernel.deploy({
      service_id: "bound",
      code: SERVICE,
      secrets: [{ name: "api", as: "api_key" }],
    });
  });

  test("is given what it is bound to, under the name it has for it, and the new version after a rotation", async () => {
    expect(await kernel.call("bound", "get", "api_key")).toBe(value);
    expect(await kernel.call("bound", "length", "api_key")).toBe(value.length);
    value = newValue();
    await kernel.request("POST", "/secrets/api/rotate", { value });
    expect(await kernel.call("bound", "get", "api_key")).toBe(value);
  });

  test("is given nothing else, and told what to add", async () => {
    await kernel.request("POST", "/secrets", { name: "unbound", value: newValue() });
    for (const name of ["unbound", "api", "nowhere"]) {
      const { status, body } = await kernel.ask("bound", "get", [name]);
      expect({ status, code: body.code }).toEqual({ status: 403, code: "permission_denied" });
      expect(body.hint).toContain(`"secrets": [{"name": "${name}"}]`);
    }
    expect(await eventsOf("secret_access_denied", "unbound", 1)).toHaveLength(1);
  });

  test("bound to what does not exist is refused by name, also by validate", async () => {
    const input = {
      service_id: "astray",
      code: SERVICE,
      secrets: [{ name: "api" }, { name: "zz" }],
    };
    const { status, body } = await kernel.request("POST", "/services", input);
    expect(status).toBe(400);
    expect(body.errors).toEqual([
      { field: "secrets.1.name", message: "there is no secret zz in this tenant" },
    ]);
    const validated = await kernel.request("POST", "/validate", input);
    expect(validated.body).toMatchObject({ ok: false });
    expect(validated.body.problems.join()).toContain("there is no secret zz");
  });

  test("that may only have it filled in cannot read it", async () => {
    const hosts = ["api.example.com"];
    const secrets = [{ name: "api", use: "inject", hosts }];
    await kernel.deploy({ service_id: "injected", code: SERVICE, secrets });
    const { body } = await kernel.ask("injected", "get", ["api"]);
    expect(body.code).toBe("permission_denied");
    expect(body.hint).toContain("{{secret:api}}");
    const nowhere = await kernel.request("POST", "/services", {
      service_id: "nowhere",
      code: SERVICE,
      secrets: [
        { name: "api", use: "inject" },
        { name: "api", as: "b", hosts: ["http://*"] },
      ],
    });
    expect(nowhere.body.errors.map(({ field }: { field: string }) => field)).toEqual([
      "secrets.0.hosts",
      "secrets.1.hosts",
    ]);
  });

  test("shows a mark in its logs, events, errors and crash reports, in whatever form it says it", async () => {
    expect(await kernel.call("bound", "leak", "api_key")).toBe("said");
    const refused = await kernel.ask("bound", "refuse", ["api_key"]);
    const crashed = await kernel.ask("bound", "crash", ["api_key"]);
    const status = await until(async () => {
      const told = await kernel.status("bound");
      return told["last_crash"] && told["state"] === "running" ? told : undefined;
    }, "the crash to be known");
    const logs = await until(async () => {
      const lines = await kernel.logs("bound");
      return lines.length >= 4 ? lines : undefined;
    }, "the log lines");
    await eventsOf("service_crashed", "bound", 1); // the last of them
    const events = await kernel.events({ service_id: "bound" });
    const said = JSON.stringify({ refused, crashed, status, logs, events });
    for (const form of formsOf(Buffer.from(value))) expect(said).not.toContain(form);
    expect(logs[0]!["text"]).toContain("plain [secret:api]");
    expect(status["last_crash"].message).toBe("TypeError: crashed with [secret:api]");
    expect(JSON.stringify(crashed.body)).toContain("[secret:api]");
    expect(JSON.stringify(refused.body)).toContain("[secret:api]");
    expect(events.find(({ event_type }) => event_type === "service.leaked")?.["payload"]).toEqual({
      value: "[secret:api]",
      "[secret:api]": 1,
      list: ["[secret:api]"],
      bytes: "[secret:api]",
      numbers: "[secret:api]",
      other: [1, 2, 3],
    });
    const inPieces = logs.find(({ text }) => text.startsWith("in pieces"))!["text"];
    expect(inPieces.match(/\[secret:api\]/g)?.length).toBe(4);
    const text = JSON.stringify(logs).replace(/\s|\\+n/g, "");
    for (const form of formsOf(Buffer.from(value))) expect(text).not.toContain(form);
  });

  test("that throws it shows it to nobody, wherever it throws", async () => {
    const throws = `async (...all) => { const solo = all.find((each) => each?.secrets);
      const value = await solo.secrets.get("api");
      const error = new Error("no " + value); error.name = value; error.code = value; throw error; }`;
    const thrower = (more: string) => `const fail = ${throws};
      export default { init: () => ({}), calls: { hi: () => "hi" }, ${more} };`;
    const secrets = [{ name: "api" }];
    await kernel.deploy({ service_id: "throws", code: thrower("fetch: fail"), secrets });
    const answer = await (await kernel.ingress("throws")).text();
    const updates = await Promise.all(
      ["codeChange: (state, from, solo) => fail(solo)", "selfTest: fail", "init: fail"].map(
        async (more, at) => {
          const code = thrower(more);
          const service_id = `throws-${at}`;
          const first = { service_id, code: thrower(""), secrets, persistence: "durable" };
          await kernel.deploy(first);
          const { status, body } = await kernel.request("PUT", `/services/${service_id}`, { code });
          return [status, JSON.stringify(body)] as const;
        },
      ),
    );
    const timer = thrower("info: (message, solo) => fail(solo)").replace(
      'hi: () => "hi"',
      'later: (solo) => void solo.after(1, "go")',
    );
    await kernel.deploy({ service_id: "throws-late", code: timer, secrets });
    await kernel.call("throws-late", "later");
    const crashed = await until(
      async () => (await kernel.status("throws-late"))["last_crash"],
      "the timer to have thrown",
    );
    const logs = await kernel.logs("throws");
    const events = await kernel.events();
    const told = JSON.stringify({ answer, updates, crashed, logs, events });
    for (const form of formsOf(Buffer.from(value))) expect(told).not.toContain(form);
    expect(JSON.stringify([answer, logs, crashed])).toContain("[secret:api]");
  });

  test("that puts it into the error of a start that fails shows it to nobody", async () => {
    const code = `export default { async init(solo) { throw new Error(await solo.secrets.get("api")); } };`;
    const input = { service_id: "fails", code, secrets: [{ name: "api" }] };
    const { status, body } = await kernel.request("POST", "/services", input);
    expect(status).toBe(422);
    expect(JSON.stringify(body)).toContain("[secret:api]");
    expect(JSON.stringify(body)).not.toContain(value);
    const [failed] = await eventsOf("service_deployment_failed", "fails", 1);
    expect(failed!["payload"].detail).toContain("[secret:api]");
  });

  test("is given nothing that its deployer may not have, and loses it with the deployer's capability", async () => {
    await kernel.request("POST", "/secrets", { name: "lent", value: newValue() });
    const { body: granted } = await kernel.request("POST", "/capabilities", {
      permissions: ["deploy", "read", "invoke"],
      resources: ["kernel", "service:*", "secret:lent"],
    });
    const authorization = `Bearer ${granted.token}`;
    const deploy = (service_id: string, name: string) =>
      kernel.request(
        "POST",
        "/services",
        { service_id, code: SERVICE, secrets: [{ name }] },
        { authorization },
      );
    for (const name of ["api", "no-such-secret"]) {
      const { status, body } = await deploy("greedy", name);
      expect(status).toBe(400);
      expect(body.errors.map(({ field }: { field: string }) => field)).toEqual(["secrets.0.name"]);
      // Whether there is such a secret is not told.
      expect(body.detail).not.toContain("there is no secret");
    }
    expect(await deploy("lent", "lent")).toMatchObject({ status: 201 });
    expect((await kernel.ask("lent", "length", ["lent"])).status).toBe(200);
    expect(
      (await kernel.request("GET", "/secrets/lent", undefined, { authorization })).status,
    ).toBe(200);
    expect((await kernel.request("GET", "/secrets/api", undefined, { authorization })).status).toBe(
      403,
    );
    await kernel.request("DELETE", `/capabilities/${granted.capability.id}`);
    expect((await kernel.ask("lent", "length", ["lent"])).body.code).toBe("permission_denied");
    // New code by somebody who may not have the secret does not get it either.
    const { body: other } = await kernel.request("POST", "/capabilities", {
      permissions: ["deploy", "invoke"],
      resources: ["kernel", "service:*"],
    });
    const stolen = await kernel.request(
      "PUT",
      "/services/bound",
      { code: `${SERVICE}\n// other` },
      { authorization: `Bearer ${other.token}` },
    );
    expect({ status: stolen.status, code: stolen.body.code }).toEqual({
      status: 400,
      code: "invalid_argument",
    });
  });

  test.each([
    ["a token that lacks it", { permissions: ["read"], resources: ["secret:other"] }],
    ["a token that may only write it", { permissions: ["write"], resources: ["secret:*"] }],
  ])("that is asked for with %s is on record as denied", async (_, terms) => {
    const { body: granted } = await kernel.request("POST", "/capabilities", terms);
    const since = (await kernel.request("GET", "/events?limit=1")).body.last_id;
    const authorization = `Bearer ${granted.token}`;
    const { status } = await kernel.request("GET", "/secrets/wanted", undefined, { authorization });
    expect(status).toBe(403);
    const denied = await until(async () => {
      const { body } = await kernel.request(
        "GET",
        `/events?event_type=secret_access_denied&since_id=${since}`,
      );
      return body.events[0];
    }, "the refusal to be on record");
    expect(denied).toMatchObject({ subject: "wanted", payload: { code: "permission_denied" } });
  });

  test("loses it with the secret", async () => {
    await kernel.request("POST", "/secrets", { name: "brief", value: newValue() });
    await kernel.deploy({ service_id: "brief", code: SERVICE, secrets: [{ name: "brief" }] });
    await kernel.request("DELETE", "/secrets/brief");
    expect((await kernel.ask("brief", "get", ["brief"])).body.code).toBe("not_found");
  });

  test("has its secrets back after the kernel was killed, and its marks before it asks for them", async () => {
    const code = `export default {
      init: () => ({ kept: "" }),
      calls: {
        async keep(solo) { solo.state.kept = await solo.secrets.get("kept"); },
        say(solo) { console.log("kept", solo.state.kept); return solo.state.kept.length; },
      },
    };`;
    // Not among the values that nobody finds on the disk: the service keeps it there.
    const kept = randomBytes(18).toString("hex");
    await kernel.request("POST", "/secrets", { name: "kept", value: kept });
    const secrets = [{ name: "kept" }];
    await kernel.deploy({ service_id: "keeper", code, secrets, persistence: "durable" });
    await kernel.call("keeper", "keep");
    await kernel.kill9();
    await kernel.restart({ samePorts: true });
    expect(await kernel.call("keeper", "say")).toBe(kept.length);
    const [line] = await until(async () => {
      const lines = await kernel.logs("keeper");
      return lines.length > 0 ? lines : undefined;
    }, "the log line");
    expect(line!["text"]).toBe("kept [secret:kept]");
    expect(await kernel.call("bound", "get", "api_key")).toBe(value);
  });
});

describe("the vault", () => {
  test("gets another master key while its secrets stay, and says how it is", async () => {
    const value = newValue();
    await kernel.request("POST", "/secrets", { name: "stays", value });
    const keyOf = () => readFileSync(join(kernel.dataDir, "vault", "master-key"), "utf8");
    const before = keyOf();
    const rotated = await cli(["secrets", "rotate-master-key", "--json"]);
    expect(rotated.code).toBe(0);
    const { key_id, damaged } = JSON.parse(rotated.stdout) as Record<string, unknown>;
    expect(damaged).toEqual([]);
    expect(keyOf()).not.toBe(before);
    expect((await kernel.request("GET", "/vault")).body).toEqual({
      ok: true,
      key_from: "file",
      key_id,
      rotating: false,
      damaged: [],
    });
    expect((await kernel.request("GET", "/secrets/stays")).body.value).toBe(value);
    const event = await until(
      async () => (await kernel.events({ event_type: "master_key_rotated" }))[0],
      "the rotation to be recorded",
    );
    expect(event).toMatchObject({ payload: { key_id, damaged: 0 } });
  });

  test("keeps its key to its owner", () => {
    expect(statSync(join(kernel.dataDir, "vault", "master-key")).mode & 0o777).toBe(0o600);
    expect(statSync(join(kernel.dataDir, "vault")).mode & 0o777).toBe(0o700);
  });

  test("leaves its memory on disk at no crash, nor does what the kernel starts", async () => {
    const { pid } = JSON.parse(readFileSync(join(kernel.dataDir, "kernel.json"), "utf8")) as {
      pid: number;
    };
    for (const each of [pid, ...descendants(pid).map((child) => child.pid)]) {
      const limits = readFileSync(`/proc/${each}/limits`, "utf8");
      expect(Number(/^Max core file size +\S+ +(\d+)/m.exec(limits)?.[1])).toBeLessThanOrEqual(1);
    }
  });

  test("leaves no value and no token in the data directory, the events or the output", async () => {
    const shown = JSON.stringify(await kernel.events());
    expect(await kernel.stop()).toMatchObject({ code: 0 });
    const files = readdirSync(kernel.dataDir, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name !== "owner-token")
      .map((entry) => join(entry.parentPath, entry.name));
    expect(files.length).toBeGreaterThan(3);
    const texts = new Map(files.map((file) => [file, readFileSync(file, "latin1")]));
    texts.set("events", shown).set("stdout", kernel.stdout).set("stderr", kernel.stderr);
    for (const value of [...values, kernel.token]) {
      for (const form of formsOf(Buffer.from(value))) {
        for (const [where, text] of texts) {
          // Not `toContain`: a failure must not print a database.
          expect({ where, found: text.includes(form) }).toEqual({ where, found: false });
        }
      }
    }
  });
});
