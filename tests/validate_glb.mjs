// Prints the Khronos validator's report on a GLB file as JSON: node validate_glb.mjs FILE.glb
// The validator is looked for in MIEN_GLTF_VALIDATOR (a folder with node_modules), then beside the project.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";

const folders = [process.env.MIEN_GLTF_VALIDATOR, process.cwd()].filter(Boolean);
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
const bytes = new Uint8Array(readFileSync(process.argv[2]));
const report = await validator.validateBytes(bytes, { maxIssues: 1000 });
console.log(JSON.stringify(report.issues));
