#!/usr/bin/env node
import { launch } from "./launch.js";

await launch({ entry: new URL("entry.js", import.meta.url) });
