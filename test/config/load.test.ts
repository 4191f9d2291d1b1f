import { describe, expect, test } from "vitest";
import { SoloError, type FieldError } from "#base/errors.ts";
import { loadConfig, updateConfig, type LoadOptions } from "#config/load.ts";
import { sourceText } from "#config/setting.ts";

interface Given extends Partial<Omit<LoadOptions, "readFile">> {
  readonly files?: Readonly<Record<string, string>>;
}

function load({ files = {}, ...given }: Given = {}) {
  return loadConfig({
    env: {},
    cwd: "/srv/solo",
    ...given,
    readFile: (path) => {
      const text = files[path];
      if (text === undefined) throw Object.assign(new Error("absent"), { code: "ENOENT" });
      return text;
    },
  });
}

const withToml = (text: string, given: Given = {}) =>
  load({ files: { "/srv/solo/config.toml": text }, ...given });

function refusal(run: () => unknown): readonly FieldError[] {
  try {
    run();
  } catch (error) {
    if (!(error instanceof SoloError)) throw error;
    expect(error.code).toBe("config_invalid");
    return error.options.fields ?? [];
  }
  throw new Error("It was accepted.");
}

const refused = (text: string, given: Given = {}) =>
  refusal(() => withToml(text, given)).map(({ field, message }) => `${field} ← ${message}`);

describe("defaults", () => {
  test("are those that the documentation promises", () => {
    const { config } = load();
    expect(config.solo).toEqual({
      host: "127.0.0.1",
      listen_port: 50_051,
      http_port: 8080,
      metrics_port: 9090,
      data_dir: "/srv/solo/data",
      max_tenants: 100,
      open_tenants: true,
      log_level: "info",
    });
    expect(config.limits).toMatchObject({ max_per_tenant: 100, max_total: 1000, memory_mb: 128 });
    expect(config.security).toMatchObject({ require_mtls: false, rate_limit_per_capability: 1000 });
    expect(config.database).toEqual({
      events_db: "/srv/solo/data/events",
      vault_db: "/srv/solo/data/vault",
    });
  });

  test("of the databases follow the data directory until they are set", () => {
    const moved = load({ argvFlags: { "data-dir": "/var/solo" } }).config;
    expect(moved.database.events_db).toBe("/var/solo/events");
    const own = withToml('[database]\nevents_db = "log"\n[solo]\ndata_dir = "d"').config;
    expect(own.database).toEqual({ events_db: "/srv/solo/log", vault_db: "/srv/solo/d/vault" });
  });

  test("cannot be changed by whoever holds the configuration", () => {
    const { config } = withToml("[tenants.acme]\nmailbox = 5");
    expect(() => Object.assign(config.limits, { memory_mb: 1 })).toThrow(TypeError);
    expect(() => Object.assign(config.tenants["acme"]!, { mailbox: 1 })).toThrow(TypeError);
    expect(load().config.security.allowed_hosts).toEqual([]);
  });
});

describe("files", () => {
  test("in TOML and JSON say the same", () => {
    const toml = withToml('[solo]\nhttp_port = 1\n[tenants."a.b"]\nmailbox = 7').config;
    const json = load({
      env: { SOLO_CONFIG: "c.json" },
      files: {
        "/srv/solo/c.json": '{ "solo": {"http_port": 1}, "tenants": {"a.b": {"mailbox": 7}} } // x',
      },
    }).config;
    expect(json).toEqual(toml);
    expect(toml.tenants).toEqual({ "a.b": { mailbox: 7 } });
  });

  test("named by a flag win over those named by the environment", () => {
    const loaded = load({
      argvFlags: { config: "flag.toml" },
      env: { SOLO_CONFIG: "env.toml" },
      files: { "/srv/solo/flag.toml": "solo.http_port = 1", "/srv/solo/env.toml": "" },
    });
    expect(loaded.file).toBe("flag.toml");
    expect(loaded.config.solo.http_port).toBe(1);
  });

  test("that were named and are absent stop the start", () => {
    expect(refusal(() => load({ env: { SOLO_CONFIG: "gone.toml" } }))[0]?.message).toBe(
      "environment variable SOLO_CONFIG: cannot read gone.toml: there is no such file",
    );
  });

  test("that do not parse name the line and column", () => {
    expect(refused("[solo]\nhttp_port = = 1")[0]).toMatch(/config\.toml:2:13: not valid TOML/);
    const json = { "/srv/solo/c.json": '{\n  "solo": {,}\n}' };
    expect(
      refusal(() => load({ env: { SOLO_CONFIG: "c.json" }, files: json }))[0]?.message,
    ).toMatch(/c\.json:2:12: not valid JSON/);
  });
});

describe("wrong settings", () => {
  test("are all named at once, each with its place, what was expected and what was found", () => {
    const found = refused(
      '[solo]\nhttp_port = "eighty"\nlog_level = "loud"\n[limits]\nmemory_mb = 4\nmailbox = 1.5',
      { env: { SOLO_LISTEN_PORT: "70000" }, argvFlags: { "metrics-port": "x" } },
    );
    expect(found).toEqual([
      'solo.http_port ← config.toml:2:13: expected a whole number from 0 to 65535, found "eighty"',
      'solo.log_level ← config.toml:3:13: expected one of "debug", "info", "warn", "error", "silent", found "loud"',
      "limits.memory_mb ← config.toml:5:13: expected a whole number from 8 to 65536, found 4",
      "limits.mailbox ← config.toml:6:11: expected a whole number from 1 to 1000000, found 1.5",
      "solo.listen_port ← environment variable SOLO_LISTEN_PORT: expected a whole number from 0 to 65535, found 70000",
      'solo.metrics_port ← flag --metrics-port: expected a whole number from 0 to 65535, found "x"',
    ]);
  });

  test("are refused even when a later layer would win", () => {
    expect(refused("solo.http_port = true", { argvFlags: { httpPort: 1 } })).toHaveLength(1);
  });

  test("that nobody knows are named with what was probably meant", () => {
    expect(
      refused("[solo]\nhttp_prot = 1\n[limit]\nmailbox = 1\n[tenants.acme]\nmailbx = 1"),
    ).toEqual([
      "solo.http_prot ← config.toml:2:13: unknown setting; did you mean solo.http_port?",
      "limit ← config.toml:3:2: unknown setting; did you mean limits?",
      "tenants.acme.mailbx ← config.toml:6:10: unknown setting; did you mean tenants.acme.mailbox?",
    ]);
    expect(refused("http_port = 1")).toEqual([
      "http_port ← config.toml:1:13: unknown setting; did you mean solo.http_port?",
    ]);
    expect(refused("", { env: { SOLO_HTPP_PORT: "1" } })).toEqual([
      "SOLO_HTPP_PORT ← environment variable SOLO_HTPP_PORT: unknown setting; did you mean SOLO_HTTP_PORT?",
    ]);
  });

  test("of an unknown name are not repeated: they may be a secret in the wrong place", () => {
    const found = refused('[solo]\npassword = "hunter2"', { env: { SOLO_TOKN: "hunter2" } });
    expect(found.join()).not.toContain("hunter2");
  });

  test("in the shape of a table, a list or a date are refused like any other", () => {
    expect(refused("solo = 1")).toEqual(["solo ← config.toml:1:8: expected a section, found 1"]);
    expect(refused("[solo]\nhttp_port = {}")[0]).toContain("found a table");
    expect(refused("[solo.http_port]\nx = 1")[0]).toContain("found a table");
    expect(refused("[[solo]]")[0]).toContain("expected a section, found a list");
    expect(refused("[solo]\ndata_dir = 2020-01-01")[0]).toContain("found a date");
    expect(refused('[tenants."../etc"]\nmailbox = 1')[0]).toContain("not a tenant's name");
    expect(refused("[tenants.__proto__]\nmailbox = 1")[0]).toContain("not a tenant's name");
  });

  test("left empty in the environment are refused, not skipped", () => {
    expect(refused("", { env: { SOLO_HTTP_PORT: "" } })[0]).toContain('found ""');
  });
});

describe("the environment", () => {
  test("may hold Solo's other variables and what Kubernetes adds", () => {
    const env = {
      SOLO_TOKEN: "x",
      SOLO_URL: "http://127.0.0.1:1",
      SOLO_PORT: "tcp://10.0.0.1:8080",
      SOLO_PORT_8080_TCP_ADDR: "10.0.0.1",
      SOLO_SERVICE_HOST: "10.0.0.1",
      SOLO_SERVICE_PORT_HTTP: "8080",
      PATH: "/bin",
    };
    expect(load({ env }).config).toEqual(load().config);
  });

  test("reads lists, numbers and switches", () => {
    const { config } = load({
      env: {
        SOLO_SECURITY_ALLOWED_HOSTS: "a.example, b.example",
        SOLO_LIMITS_MEMORY_MB: "64",
        SOLO_TELEMETRY_METRICS_ENABLED: "false",
      },
    });
    expect(config.security.allowed_hosts).toEqual(["a.example", "b.example"]);
    expect(config.limits.memory_mb).toBe(64);
    expect(config.telemetry.metrics_enabled).toBe(false);
  });
});

describe("settings that endanger", () => {
  test("a host that others reach is refused until that is asked for, and the risk is named", () => {
    expect(refused('solo.host = "0.0.0.0"')[0]).toMatch(/solo\.host ← .*loopback.*stolen tokens/);
    const asked = withToml('solo.host = "0.0.0.0"\nsecurity.allow_remote = true');
    expect(asked.config.solo.host).toBe("0.0.0.0");
    expect(load({ env: { SOLO_HOST: "::1" } }).config.solo.host).toBe("::1");
  });

  test("asking for client certificates is refused where nothing would check them", () => {
    expect(refused("security.require_mtls = true")[0]).toContain("security.tls = true beside it");
    withToml("[security]\ntls = true\nrequire_mtls = true");
  });

  test("two gateways on one port are refused; port 0 is free for all", () => {
    expect(refused("solo.http_port = 9090")[0]).toContain("solo.metrics_port ←");
    load({ env: { SOLO_HTTP_PORT: "0", SOLO_METRICS_PORT: "0", SOLO_LISTEN_PORT: "0" } });
  });
});

describe("sources", () => {
  test("say which layer each value came from", () => {
    const { sources } = withToml("[solo]\nhttp_port = 1\nmetrics_port = 2", {
      env: { SOLO_METRICS_PORT: "3", SOLO_LOG_LEVEL: "warn" },
      argvFlags: { logLevel: "debug" },
    });
    const text = (path: string) => sourceText(sources.get(path)!);
    expect(text("solo.http_port")).toBe("config.toml:2:13");
    expect(text("solo.metrics_port")).toBe("environment variable SOLO_METRICS_PORT");
    expect(text("solo.log_level")).toBe("flag --log-level");
    expect(text("solo.host")).toBe("default");
  });
});

describe("updates while running", () => {
  test("win over every other layer and leave the old value as it was", () => {
    const before = load({ argvFlags: { "log-level": "warn" } });
    const after = updateConfig(before, { "solo.log_level": "debug", "tenants.a.b.mailbox": 9 });
    expect(after.config.solo.log_level).toBe("debug");
    expect(after.config.tenants).toEqual({ "a.b": { mailbox: 9 } });
    expect(after.sources.get("solo.log_level")).toEqual({ layer: "runtime" });
    expect(before.config.solo.log_level).toBe("warn");
  });

  test("of settings that need a restart are refused", () => {
    const [field] = refusal(() => updateConfig(load(), { "solo.http_port": 1 }));
    expect(field?.message).toContain("cannot change while the kernel runs");
  });
});
