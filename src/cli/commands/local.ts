/** Commands that need no kernel: the owner's token, the configuration. */
import { EXIT, SoloError } from "#base/errors.ts";
import type { CommandSpec } from "#cli/command-spec.ts";
import { oneLine } from "#cli/render/format.ts";
import { type Row, table } from "#cli/render/table.ts";

export const token: CommandSpec = {
  name: "token",
  heading: "Setup:",
  summary: "Print the owner's token of the data directory.",
  description: `Print the owner's token of the data directory. Whoever holds it owns the kernel:
keep it out of logs and command lines; other tools read it from SOLO_TOKEN.`,
  examples: ['curl -H "authorization: Bearer $(solo token)" http://127.0.0.1:8080/services'],
  async run(session) {
    const { readOwnerToken } = await import("#client/find-kernel.ts");
    const dataDir = await session.dataDir();
    const found = await readOwnerToken(dataDir);
    if (found === undefined) {
      throw new SoloError("not_found", `There is no owner's token in ${dataDir}.`, {
        hint: "The first `solo start` writes it; name another directory with --data-dir.",
      });
    }
    if (session.json) await session.out.json({ token: found });
    else await session.out.line(found);
    return EXIT.OK;
  },
};

/** `{ solo: { host } }` → one row for each key, its value and the layer that gave it. */
function rowsOf(value: unknown, from: (path: string) => string, path = ""): Row[] {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return Object.entries(value).flatMap(([name, inner]) =>
      rowsOf(inner, from, path === "" ? name : `${path}.${name}`),
    );
  }
  // As one would write it in the file, not humanised.
  return [{ key: path, value: oneLine(JSON.stringify(value)), from: from(path) }];
}

export const configCheck: CommandSpec = {
  name: "config check",
  heading: "Setup:",
  summary: "Check the configuration and show where each value comes from.",
  description: `Check the configuration that \`solo start\` would use, and show each value with the
layer it comes from: default, file, environment or flag.`,
  examples: ["solo config check --config config.toml"],
  async run(session) {
    const { sourceText } = await import("#config/setting.ts");
    const { config, sources, file } = await session.loadConfig();
    const from = (path: string): string => {
      const source = sources.get(path);
      return source === undefined ? "" : sourceText(source);
    };
    const rows = rowsOf(config, from);
    if (session.json) {
      const origins = Object.fromEntries(rows.map((row) => [row["key"], row["from"]]));
      await session.out.json({ ok: true, file: file ?? null, config, sources: origins });
    } else {
      const columns = ["key", "value", "from"];
      await session.out.line(table({ rows, columns, paint: session.paint }));
    }
    return EXIT.OK;
  },
};
