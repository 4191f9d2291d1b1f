// Lists the directory it is told, to show that nothing lies beside it.
const fs = require("node:fs");
fs.writeSync(3, fs.readdirSync(process.argv[2]).join(" "));
