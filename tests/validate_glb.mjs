// Reads the paths of GLB files, a line each, and prints the Khronos validator's report on each as a line of JSON.
// The validator is looked for beside MIEN_NODE_MODULES (set by .ci/run, a node_modules folder), in
// MIEN_GLTF_VALIDATOR (a folder that has one), then in the project's cache and beside the project.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, resolve } from "node:path";
import { createInterface } from "node:readline";

const modules = process.env.MIEN_NODE_MODULES;
const project = resolve(import.meta.dirname ?? dirname(new URL(import.meta.url).pathname), "..");
const folders = [
  modules && dirname(modules),
  process.env.MIEN_GLTF_VALIDATOR,
  resolve(project, ".cache", "node"),
  project,
].filter(Boolean);
let validator = null;
for (const folder of folders) {
  try {
    validator = createRequire(resolve(folder, "package.json"))("gltf-validator");
    break;
  } catch (error) {
    if (error.code !== "MODULE_NOT_FOUND") throw error;
  }
}
if (validator === null) {
  console.error(`gltf-validator is not installed in: ${folders.join(", ")}`);
  process.exit(3);
}
for await (const path of createInterface({ input: process.stdin })) {
  const report = await validator.validateBytes(new Uint8Array(readFileSync(path)), { maxIssues: 1000 });
  console.log(JSON.stringify(report.issues));
}
