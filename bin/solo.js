#!/usr/bin/env node
import { launch } from "./launch.js";

await launch({ entry: new URL("../src/bin/solo.ts", import.meta.url) });
