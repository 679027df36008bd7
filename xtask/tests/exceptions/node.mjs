// node node.mjs MODULE: prints what its function `test` returns.
import { readFileSync } from "node:fs";

const { instance } = await WebAssembly.instantiate(readFileSync(process.argv[2]));
console.log(instance.exports.test(1), instance.exports.test(5));
