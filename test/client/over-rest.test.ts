import { describe, expect, test } from "vitest";
import type { OperationName, RawInputOf } from "#api/catalogue.ts";
import { SoloError } from "#base/errors.ts";
import { createClient, type Client } from "#client/index.ts";
import { methodName, operations } from "#client/operations.ts";
import { TOKEN, aborted, event } from "../support/fake-rest-kernel.ts";
import { startGateway } from "../support/rest-harness.ts";

/** For each operation an input that uses every place of its binding. */
const INPUTS: { readonly [N in OperationName]: RawInputOf<N> } = {
  Deploy: { service_id: "a", code: "x", limits: { memory_mb: 16 }, args: { n: [1, null] } },
  Update: { service_id: "a", files: { "index.ts": "x" }, env: { A: "1" } },
  Validate: { service_id: "a", code: "x" },
  ListRevisions: { service_id: "a", tenant_id: "acme" },
  GetRevision: { service_id: "a", revision: "r_1" },
  DiffRevisions: { service_id: "a", from: "r_1", to: "r_2" },
  Rollback: { service_id: "a", revision: "r_1", message: "back" },
  GetRollout: { service_id: "a", tenant_id: "acme" },
  PauseRollout: { service_id: "a" },
  ResumeRollout: { service_id: "a" },
  PromoteRollout: { service_id: "a.b-c" },
  AbortRollout: { service_id: "a" },
  Kill: { service_id: "a.b-c", force: true, timeout_ms: 5 },
  Restart: { service_id: "a", tenant_id: "acme" },
  Status: { service_id: "a", tenant_id: "acme" },
  List: { limit: 5, after: "a" },
  Call: { service_id: "a", name: "odd name/?#é", args: [1, "two", { three: null }] },
  Cast: { service_id: "a", name: "reset" },
  Logs: { service_id: "a", since: 3, limit: 4 },
  StoreSecret: { name: "a", value: "v", key: "k" },
  RotateSecret: { name: "a.b-c", value_base64: "AAE=" },
  RetrieveSecret: { name: "a", version: 2 },
  RetrieveSecretWithKey: { name: "a", version: 2, key: "k" },
  ListSecrets: { limit: 5, after: "a" },
  RevokeSecret: { name: "a", version: 1, tenant_id: "acme" },
  VaultStatus: {},
  RotateMasterKey: {},
  ResumeRotation: {},
  AcceptVault: {},
  ListEvents: { since_id: 1, newest_first: false, from: "2026-01-01T00:00:00Z" },
  Watch: { since_id: 1, event_type: "a,b" },
  VerifyEvents: { from_id: 2 },
  GrantCapability: { permissions: ["read"], resources: ["kernel"], ttl_ms: 5 },
  AttenuateCapability: { id: "self", max_uses: 1 },
  DelegateCapability: { id: "c_1", holder: { service_id: "a" } },
  RevokeCapability: { id: "c_1" },
  ListCapabilities: { include_ended: true, limit: 3 },
  InspectCapability: { id: "self" },
  VerifyCapability: { token: "t", permission: "invoke", resource: "service:a", args: [1] },
  CreateTenant: { tenant_id: "acme", limits: { mailbox: 5 } },
  ListTenants: { limit: 5, after: "a" },
  GetTenant: { tenant_id: "a.b-c" },
  SetTenantLimits: { tenant_id: "acme", limits: { mailbox: null } },
  DeleteTenant: { tenant_id: "acme", force: true },
  GetConfig: { key: "limits" },
  SetConfig: { key: "tenants.a.b.mailbox", value: 5 },
  Health: {},
  Tree: {},
  BootReport: {},
  GetState: { service_id: "a", slot: 1 },
  ExportState: { service_id: "a" },
  ImportState: {
    service_id: "a",
    document: { format: "solo-state", form: 1, source_hash: "h", state: "[1]", sha256: "s" },
  },
  ResetState: { service_id: "a", slot: 2 },
  Shutdown: { drain_ms: 0 },
};

type AnyMethod = (input: object) => Promise<unknown> & AsyncIterable<unknown>;
const methodOf = (client: Client, name: OperationName) =>
  client[methodName(name)] as unknown as AnyMethod;

const names = Object.keys(INPUTS) as OperationName[];

describe("through the REST gateway", () => {
  test.each(names)("%s arrives as it was sent and its answer comes back", async (name) => {
    const message = event(7);
    const { url, kernel } = await startGateway({
      calls: { [name]: () => ({ answer: name }) },
      streams: {
        [name]: async function* () {
          yield message;
        },
      },
    });
    const method = methodOf(createClient({ url, token: TOKEN, tenant: "acme" }), name);
    if (operations[name].streaming) {
      for await (const item of method(INPUTS[name])) {
        expect(item).toEqual(message);
        break;
      }
    } else {
      expect(await method(INPUTS[name])).toEqual({ answer: name });
    }
    expect(kernel.seen.at(-1)).toMatchObject({
      name,
      input: INPUTS[name],
      context: { credentials: { token: TOKEN, tenant: "acme" } },
    });
  });

  test("an error arrives whole", async () => {
    const options = {
      hint: "Wait.",
      fields: [{ field: "code", message: "is odd" }],
      diagnostics: [
        {
          code: "syntax",
          severity: "error" as const,
          message: "no",
          file: "index.ts",
          line: 1,
          column: 2,
          excerpt: "x",
          explanation: "why",
        },
      ],
      retryAfterMs: 1500,
      stack: "at index.ts:1:2",
      serviceCode: "MINE",
    };
    const thrown = new SoloError("service_error", "It failed.", options);
    const { url } = await startGateway({
      calls: {
        Call: () => {
          throw thrown;
        },
      },
    });
    const client = createClient({ url, token: TOKEN });
    await expect(client.call({ service_id: "a", name: "n" })).rejects.toMatchObject({
      code: "service_error",
      message: "It failed.",
      options,
    });
  });

  test("a watch outlives the gateway: none missed, none twice", async () => {
    const log = [1, 2, 3, 4, 5, 6].map((id) => event(id));
    const streams = (upTo: number) => ({
      Watch: async function* (input: { since_id: number }, { signal }: { signal: AbortSignal }) {
        yield* log.slice(input.since_id, upTo);
        await aborted(signal);
      },
    });
    const first = await startGateway({ streams: streams(3) });
    const client = createClient({ url: first.url, token: TOKEN, random: () => 0 });
    const seen: number[] = [];
    for await (const { id } of client.watch({ since_id: 0 })) {
      seen.push(id);
      if (id === 3) {
        await first.gateway.stop({ graceMs: 0 });
        await startGateway({ streams: streams(6) }, { port: first.port });
      }
      if (id === 6) break;
    }
    expect(seen).toEqual([1, 2, 3, 4, 5, 6]);
  });
});
