/** docs/configuration.md and config.example.toml, written from the schema. */
import { KEYS, TENANT_KEYS, type ConfigKey } from "#config/keys.ts";
import { SECTIONS } from "#config/schema.ts";

const tomlText = (value: unknown): string => JSON.stringify(value);

const defaultText = (key: ConfigKey): string => key.derivedDefault ?? tomlText(key.defaultValue);

const keysIn = (section: string) => KEYS.filter((key) => key.section === section);

function table(keys: readonly ConfigKey[]): string {
  const rows = keys.map(
    (key) =>
      `| \`${key.name}\` | \`${defaultText(key)}\` | ${key.description} Expects ${key.expected}.${
        key.runtime ? " May change while the kernel runs." : ""
      } | \`${key.env}\` |`,
  );
  return ["| Key | Default | Meaning | Environment |", "|---|---|---|---|", ...rows].join("\n");
}

export function configurationPage(): string {
  const sections = Object.keys(SECTIONS).map((name) => `## [${name}]\n\n${table(keysIn(name))}\n`);
  return `# Configuration

<!-- Written by \`npm run docs:config\` from src/config/schema.ts. -->

Each setting has one value, taken from the last of these that names it:

1. its default, below;
2. the file: \`--config FILE\`, else \`SOLO_CONFIG\`, else \`./config.toml\` if there is one. TOML, or JSON when the name ends in \`.json\`;
3. the environment: \`SOLO_\` and the key for the section \`[solo]\`, such as \`SOLO_HTTP_PORT\`; \`SOLO_<SECTION>_<KEY>\` otherwise. A list is separated by commas;
4. the flags of \`solo start\`, such as \`--http-port\`;
5. updates while the kernel runs, for the settings that allow it.

An unknown setting or a wrong value stops the start, and every problem is named with its file, line and column, variable or flag. \`solo config check\` shows what a kernel would start with, and where each value comes from. [config.example.toml](../config.example.toml) holds every default.

${sections.join("\n")}
## [tenants.\\<name\\>]

A tenant may have its own value for these limits; what it does not name follows \`[limits]\`: ${TENANT_KEYS.map(
    (key) => `\`${key.name}\``,
  ).join(", ")}. They are set in the file or while the kernel runs, not by environment variables.
`;
}

function exampleLines(key: ConfigKey): string {
  const line = key.derivedDefault
    ? `# ${key.name} = ${tomlText(key.derivedDefault)}`
    : `${key.name} = ${tomlText(key.defaultValue)}`;
  return `# ${key.description}\n${line}\n`;
}

export function exampleFile(): string {
  const sections = Object.keys(SECTIONS).map(
    (name) => `[${name}]\n${keysIn(name).map(exampleLines).join("\n")}`,
  );
  const [first] = TENANT_KEYS;
  return `# Every setting of Solo with its default. Written by \`npm run docs:config\`.
# Copy to config.toml and keep what you change.

${sections.join("\n")}
# A tenant's own limits; the others follow [limits].
# [tenants.acme]
# ${first!.name} = 500
`;
}
