/** Writes proto/solo.proto from the catalogue. */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { soloProtoText } from "#api/proto.ts";

writeFileSync(fileURLToPath(new URL("../proto/solo.proto", import.meta.url)), soloProtoText());
