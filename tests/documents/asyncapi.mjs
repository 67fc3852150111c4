// Reads an AsyncAPI document with AsyncAPI's own parser. Every diagnostic, of any severity, is a
// finding.
// node asyncapi.mjs TOOLS-FOLDER DOCUMENT
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";

const [tools, file] = process.argv.slice(2);
const { Parser } = createRequire(resolve(tools, "package.json"))("@asyncapi/parser");
const { document, diagnostics } = await new Parser().parse(readFileSync(file, "utf8"), { source: file });
for (const { code, message, path, range } of diagnostics) {
  console.error(`${file}:${range.start.line + 1} ${code} ${path.join(".")}: ${message}`);
}
if (!document || diagnostics.length > 0) {
  console.error(`AsyncAPI parser: ${diagnostics.length} findings`);
  process.exit(1);
}
const channels = document.channels().all().length;
const [operations, messages] = [document.operations().all().length, document.messages().all().length];
console.log(`AsyncAPI parser: AsyncAPI ${document.version()}, ${channels} channels, ${operations} operations, ${messages} messages, no findings`);
