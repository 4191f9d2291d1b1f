/** Where this process was told to find the vault's master key. */
import { join } from "node:path";
import type { Config } from "#config/schema.ts";
import type { MasterKeys } from "#kernel/secrets.ts";
import { decodeKey } from "#vault/master-key.ts";

const FILE = "master-key";

/** Takes the keys out of the environment: nothing that is started later shall inherit them. */
export function masterKeys(config: Config, env: NodeJS.ProcessEnv): MasterKeys {
  const take = (name: string): string | undefined => {
    const value = env[name];
    delete env[name];
    return value;
  };
  const environment = take("SOLO_MASTER_KEY");
  const passphrase = take("SOLO_MASTER_PASSPHRASE");
  const key = take("SOLO_MASTER_KEY_PREVIOUS");
  const previousPassphrase = take("SOLO_MASTER_PASSPHRASE_PREVIOUS");
  const from = config.security.master_key_from;
  return {
    file: join(config.database.vault_db, FILE),
    only: from === "auto" ? undefined : from,
    environment,
    passphrase,
    credentialsDirectory: env["CREDENTIALS_DIRECTORY"],
    previous:
      key !== undefined
        ? { kind: "key", key: decodeKey(key, "SOLO_MASTER_KEY_PREVIOUS") }
        : previousPassphrase !== undefined
          ? { kind: "passphrase", passphrase: previousPassphrase }
          : undefined,
  };
}
