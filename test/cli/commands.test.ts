import { describe, expect, test } from "vitest";
import { FakeKernel, json } from "../support/fake-http.ts";
import { runCli } from "../support/run-cli.ts";

const DEPLOYED = {
  tenant_id: "default",
  service_id: "counter",
  revision: "r_1",
  state: "running",
  instance_id: "i_1",
  started_in_ms: 3.21,
};
const STATUS = {
  tenant_id: "default",
  service_id: "counter",
  state: "running",
  revision: "r_1",
  uptime_ms: 3_723_000,
  restarts: 2,
  memory_bytes: 1_572_864,
  mailbox_length: 0,
  cpu_ms: 12.5,
  calls: 1234,
  errors: 0,
  persistence: "stateless",
  isolation: "shared",
  metadata: {},
  deployed_at: "2026-01-01T00:00:00Z",
  handlers: ["calls.get", "fetch"],
  last_crash: {
    at: "2026-01-01T00:00:01Z",
    reason: "error",
    message: "boom",
    stack: "Error: boom\n    at counter.ts:3:9",
  },
};
const TREE = {
  id: "root",
  type: "supervisor",
  state: "running",
  restarts: 0,
  children: [
    {
      id: "system",
      type: "supervisor",
      state: "running",
      restarts: 1,
      children: [{ id: "storage", type: "worker", state: "running", restarts: 0, children: [] }],
    },
    { id: "tenants", type: "supervisor", state: "running", restarts: 0, children: [] },
  ],
};

interface Case {
  readonly args: readonly string[];
  readonly route: string;
  readonly answer: object;
  readonly status?: number;
  /** What the kernel is sent, in the query or the body. */
  readonly sent?: object;
  readonly human: string;
}

const CASES: readonly Case[] = [
  {
    args: ["list", "--limit", "2"],
    route: "GET /services",
    answer: {
      services: [
        STATUS,
        { ...STATUS, service_id: "b", state: "crashed", uptime_ms: 5, memory_bytes: 10 },
      ],
    },
    sent: { limit: "2" },
    human: `SERVICE ID  STATE    REVISION  UPTIME  RESTARTS   MEMORY  CALLS  ERRORS
counter     running  r_1        1h 2m         2  1.5 MiB   1234       0
b           crashed  r_1         5 ms         2     10 B   1234       0
`,
  },
  {
    args: ["status", "counter"],
    route: "GET /services/counter",
    answer: STATUS,
    human: `tenant id       default
service id      counter
state           running
revision        r_1
uptime          1h 2m
restarts        2
memory          1.5 MiB
mailbox length  0
cpu             12.5 ms
calls           1234
errors          0
persistence     stateless
isolation       shared
deployed at     2026-01-01T00:00:00Z
handlers        calls.get, fetch
last crash
  at       2026-01-01T00:00:01Z
  reason   error
  message  boom
  stack
    Error: boom
        at counter.ts:3:9
`,
  },
  {
    args: ["kill", "counter", "--force", "--timeout-ms", "10"],
    route: "DELETE /services/counter",
    status: 202,
    answer: { tenant_id: "default", service_id: "counter", state: "stopped", forced: true },
    sent: { force: "true", timeout_ms: "10" },
    human: "tenant id   default\nservice id  counter\nstate       stopped\nforced      yes\n",
  },
  {
    args: ["restart", "counter"],
    route: "POST /services/counter/restart",
    answer: DEPLOYED,
    sent: {},
    human: `tenant id    default
service id   counter
revision     r_1
state        running
instance id  i_1
started in   3.2 ms
`,
  },
  {
    args: ["health"],
    route: "GET /health",
    answer: { status: "ok", uptime_ms: 59_990, memory_mb: 80.5 },
    human: "status     ok\nuptime     59.9 s\nmemory mb  80.5\n",
  },
  {
    args: ["tree"],
    route: "GET /tree",
    answer: { tree: TREE },
    human: `root  supervisor  running
├─ system  supervisor  running  1 restarts
│  └─ storage  running
└─ tenants  supervisor  running
`,
  },
  {
    args: ["verify", "--from-id", "7"],
    route: "POST /events/verify",
    answer: { ok: true, checked: 12 },
    sent: { from_id: 7 },
    human: "ok       yes\nchecked  12\n",
  },
  {
    args: ["shutdown", "--drain-ms", "0"],
    route: "POST /shutdown",
    status: 202,
    answer: { accepted: true },
    sent: { drain_ms: 0 },
    human: "accepted  yes\n",
  },
  {
    args: ["call", "counter", "add", "5", "-3", "word", '{"a":[1]}', "null"],
    route: "POST /services/counter/calls/add",
    answer: { reply: { sum: 2 } },
    sent: { args: [5, -3, "word", { a: [1] }, null] },
    human: '{\n  "sum": 2\n}\n',
  },
  {
    args: ["call", "counter", "add", "--args-json", '["5"]', "--timeout-ms", "70"],
    route: "POST /services/counter/calls/add",
    answer: { reply: "plain" },
    sent: { args: ["5"], timeout_ms: 70 },
    human: "plain\n",
  },
  {
    args: ["cast", "counter", "reset"],
    route: "POST /services/counter/casts/reset",
    status: 202,
    answer: { accepted: true },
    sent: { args: [] },
    human: "accepted\n",
  },
];

describe.each(CASES)("solo $args", ({ args, route, answer, status, sent, human }) => {
  test("asks the kernel and shows the answer to people", async () => {
    await using kernel = await FakeKernel.start();
    kernel.on(route, json(answer, status));
    const result = await runCli(args, kernel);
    expect(result).toEqual({ code: 0, stdout: human, stderr: "" });
    const request = kernel.last;
    expect(request?.route).toBe(route);
    if (sent !== undefined) expect(request?.body ?? request?.query).toEqual(sent);
  });

  test("gives programs the answer itself", async () => {
    await using kernel = await FakeKernel.start();
    kernel.on(route, json(answer, status));
    const result = await runCli([...args, "--json"], kernel);
    expect(result).toMatchObject({ code: 0, stderr: "" });
    expect(JSON.parse(result.stdout)).toEqual(answer);
  });
});

test("a broken event log is a failure to whoever reads the exit code", async () => {
  await using kernel = await FakeKernel.start();
  kernel.on("POST /events/verify", json({ ok: false, checked: 3, first_broken: 4 }));
  expect(await runCli(["verify"], kernel)).toMatchObject({
    code: 1,
    stdout: expect.stringMatching(/first broken +4/),
  });
});

test("an empty list and a list with more say so", async () => {
  await using kernel = await FakeKernel.start();
  kernel.on("GET /services", json({ services: [] }));
  expect((await runCli(["list"], kernel)).stdout).toBe("none\n");
  kernel.on("GET /services", json({ services: [STATUS], next: "counter" }));
  expect((await runCli(["list"], kernel)).stdout).toContain("more: --after counter");
});

test("global options may stand anywhere and reach the kernel", async () => {
  await using kernel = await FakeKernel.start();
  kernel.on("GET /services", json({ services: [] }));
  const result = await runCli(["--tenant", "acme", "list", "--data-dir", kernel.dataDir, "--json"]);
  expect(result).toMatchObject({ code: 0, stdout: '{"services":[]}\n' });
  expect(kernel.last?.headers["x-solo-tenant"]).toBe("acme");
});

test("colours are for terminals that want them", async () => {
  await using kernel = await FakeKernel.start();
  kernel.on("GET /services/counter", json(STATUS));
  const run = (args: readonly string[], env: Record<string, string>) =>
    runCli(["status", "counter", ...args], { dataDir: kernel.dataDir, env });
  const GREEN = "\u001b[32mrunning";
  expect((await run([], { TEST_TTY: "1" })).stdout).toContain(GREEN);
  expect((await run(["--no-color"], { TEST_TTY: "1" })).stdout).not.toContain("\u001b");
  expect((await run([], { TEST_TTY: "1", NO_COLOR: "1" })).stdout).not.toContain("\u001b");
});

test("what a service answers cannot drive the terminal", async () => {
  await using kernel = await FakeKernel.start();
  kernel.on("POST /services/evil/calls/x", json({ reply: "\u001b]0;owned\u0007 hi" }));
  const { stdout } = await runCli(["call", "evil", "x"], kernel);
  expect(stdout).toBe("\\u001b]0;owned\\u0007 hi\n");
});
