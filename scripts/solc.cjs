// The part of solc's command line that forge and py-solc-x use: --version and --standard-json.
// Started by scripts/solc, which finds node.
"use strict";

const fs = require("node:fs");
const path = require("node:path");

// solc.js installs a handler that turns every crash into a wall of minified code; ours says what happened.
const solc = require("../node_modules/solc");
process.removeAllListeners("uncaughtException");
process.removeAllListeners("unhandledRejection");

function fail(message) {
  process.stderr.write(`error: ${message}\n`);
  process.exit(1);
}

// "0.8.37+commit.abcdef01.Emscripten.clang"
const printVersion = () =>
  process.stdout.write(`solc, the solidity compiler commandline interface\nVersion: ${solc.version()}\n`);

function parse(argv) {
  const options = { standardJson: false, basePath: "", includePaths: [], allowPaths: [], input: null };
  for (let i = 0; i < argv.length; i++) {
    const [flag, inline] = argv[i].startsWith("--") ? argv[i].split(/=(.*)/s) : [argv[i]];
    const value = () => (inline !== undefined ? inline : argv[++i]);
    if (flag === "--version") return printVersion(), process.exit(0);
    else if (flag === "--standard-json") options.standardJson = true;
    else if (flag === "--base-path") options.basePath = value();
    else if (flag === "--include-path") options.includePaths.push(value());
    else if (flag === "--allow-paths") options.allowPaths.push(...value().split(",").filter(Boolean));
    else if (flag === "-") options.input = null;
    else if (!flag.startsWith("-")) options.input = flag;
    else fail(`this solc knows --version and --standard-json with --base-path, --include-path, --allow-paths; not ${flag}`);
  }
  return options;
}

// Answers imports that the input does not carry inline, only from the folders the caller allowed.
function reader(options) {
  const base = path.resolve(options.basePath || ".");
  const roots = [base, ...options.includePaths.map((folder) => path.resolve(folder))];
  const allowed = [...roots, ...options.allowPaths.map((folder) => path.resolve(folder))].map((folder) => folder + path.sep);
  return (name) => {
    const candidates = path.isAbsolute(name) ? [name] : roots.map((folder) => path.join(folder, name));
    for (const candidate of candidates) {
      if (!fs.existsSync(candidate)) continue;
      const file = fs.realpathSync(candidate);
      if (![candidate, file].some((name) => allowed.some((folder) => name.startsWith(folder)))) {
        return { error: `${name} lies outside the allowed folders.` };
      }
      return { contents: fs.readFileSync(file, "utf8") };
    }
    return { error: `${name} was not found.` };
  };
}

const options = parse(process.argv.slice(2));
if (!options.standardJson) fail("nothing to do: give --version or --standard-json.");
const input = fs.readFileSync(options.input === null ? 0 : options.input, "utf8");
process.stdout.write(solc.compile(input, { import: reader(options) }));
