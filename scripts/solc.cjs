// The part of solc's command line that forge and py-solc-x use: --version and --standard-json.
// Started by scripts/solc, which finds node. A request is compiled in parts, one for each processor at a time.
"use strict";

const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { Worker, isMainThread, parentPort, workerData } = require("node:worker_threads");

// solc.js installs a handler that turns every crash into a wall of minified code; ours says what happened.
const solc = require("../node_modules/solc");
process.removeAllListeners("uncaughtException");
process.removeAllListeners("unhandledRejection");

// The tests' own code runs a few times and is compiled often, so it gets a fraction of the optimizer's passes: a third of the time.
// But not the harness of the differential tests, whose gas is part of what they measure.
const TESTS = "tests/";
const MEASURED = "tests/contracts/differential/";
const TESTS_OPTIMIZER = {
  enabled: true,
  runs: 1,
  details: { yul: true, yulDetails: { stackAllocation: true, optimizerSteps: "dhfoDgvulfnTUtnIf:fDnTOcmu" } },
};
const PARTS_PER_PROCESSOR = 4; // files cost differently, so whoever is done takes the next part

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

const compile = (request, options) => solc.compile(JSON.stringify(request), { import: reader(options) });

// Deals out files, the longest first, so that every part has some of each size.
function deal(files, sources, count) {
  const length = (file) => (sources[file].content || "").length;
  const parts = Array.from({ length: Math.min(count, files.length) }, () => []);
  [...files].sort((a, b) => length(b) - length(a)).forEach((file, at) => parts[at % parts.length].push(file));
  return parts;
}

// The request once for each part, asking for that part's files alone; null where it cannot be cut.
function cut(request, processors) {
  const selection = request.settings?.outputSelection;
  if (request.language !== "Solidity" || !selection || !request.sources) return null;
  const wanted = (file) => selection[file] ?? selection["*"];
  const files = Object.keys(request.sources).filter((file) => wanted(file));
  if (files.length <= processors) return null;
  const isTest = (file) => {
    const name = path.relative(".", path.resolve(file));
    return name.startsWith(TESTS) && !name.startsWith(MEASURED);
  };
  const part = (files, settings) => ({
    ...request,
    settings: { ...request.settings, ...settings, outputSelection: Object.fromEntries(files.map((file) => [file, wanted(file)])) },
  });
  const count = processors * PARTS_PER_PROCESSOR;
  return [
    ...deal(files.filter((file) => !isTest(file)), request.sources, count).map((files) => part(files, {})),
    ...deal(files.filter(isTest), request.sources, count).map((files) => part(files, { optimizer: TESTS_OPTIMIZER })),
  ];
}

function merge(outputs) {
  const merged = { contracts: {}, sources: {} };
  const errors = new Map(); // every part reads every source, so each complains of the same things
  for (const output of outputs) {
    Object.assign(merged.contracts, output.contracts);
    for (const [file, source] of Object.entries(output.sources ?? {})) {
      merged.sources[file] = { ...merged.sources[file], ...source };
    }
    for (const error of output.errors ?? []) errors.set(error.formattedMessage, error);
  }
  return errors.size ? { ...merged, errors: [...errors.values()] } : merged;
}

function compileParts(parts, options, processors, done) {
  const outputs = new Array(parts.length);
  let next = 0;
  let open = 0;
  for (let i = 0; i < Math.min(processors, parts.length); i++) {
    const worker = new Worker(__filename, { workerData: options, resourceLimits: { stackSizeMb: 7 } });
    const give = () => (next < parts.length ? worker.postMessage([next, parts[next++]]) : (worker.terminate(), --open || done(merge(outputs))));
    worker.on("message", ([at, output]) => ((outputs[at] = JSON.parse(output)), give()));
    worker.on("error", (error) => fail(`the compiler broke down: ${error.message}`));
    open++;
    give();
  }
}

function main() {
  const options = parse(process.argv.slice(2));
  if (!options.standardJson) fail("nothing to do: give --version or --standard-json.");
  const text = fs.readFileSync(options.input === null ? 0 : options.input, "utf8");
  let request = {};
  try {
    request = JSON.parse(text);
  } catch {
    // the compiler says what is wrong with it
  }
  const processors = os.availableParallelism();
  const parts = cut(request, processors);
  if (!parts) return process.stdout.write(solc.compile(text, { import: reader(options) }));
  compileParts(parts, options, processors, (output) => process.stdout.write(JSON.stringify(output)));
}

if (isMainThread) main();
else parentPort.on("message", ([at, request]) => parentPort.postMessage([at, compile(request, workerData)]));
