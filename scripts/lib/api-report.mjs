/**
 * What the npm package offers, as text: for each entry point its exports, with every declaration they reach.
 *
 * It reads the declaration files that tsc writes, where every statement starts in the first column, and leaves out
 * comments, so that only a change of the API changes the report. The values of string constants stay out, too.
 */
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";

/**
 * @param {string} directory where tsc put the declarations
 * @param {Record<string, string>} entries specifier and its declaration file in the directory
 * @returns {string} Markdown
 */
export function apiReport(directory, entries) {
  const modules = new Map();
  const load = (/** @type {string} */ file) => {
    const known = modules.get(file);
    if (known) return known;
    const parsed = parseModule(path.join(directory, file));
    modules.set(file, parsed);
    return parsed;
  };
  const sections = [];
  const described = new Set();
  for (const [specifier, entry] of Object.entries(entries)) {
    const exported = exportsOf(entry, load);
    const names = [...exported.keys()];
    const wanted = [...exported.values()];
    const blocks = [];
    while (wanted.length > 0) {
      const [name, file] = /** @type {[string, string]} */ (wanted.shift());
      const key = `${file} ${name}`;
      if (described.has(key)) continue;
      described.add(key);
      const module = load(file);
      const imported = module.imports.get(name);
      if (imported) {
        const [original, from] = imported;
        const declaration = exportsOf(resolve(file, from), load).get(original);
        if (declaration) wanted.push(declaration);
        continue;
      }
      const statement = module.declarations.get(name);
      if (statement === undefined) continue;
      blocks.push({ name, statement });
      for (const [word] of statement.matchAll(/[A-Za-z_$][\w$]*/g)) {
        if (word !== name && (module.declarations.has(word) || module.imports.has(word))) wanted.push([word, file]);
      }
    }
    blocks.sort((left, right) => (left.name < right.name ? -1 : left.name > right.name ? 1 : 0));
    sections.push(
      `## \`${specifier}\`\n\nExports: ${names
        .toSorted()
        .map((name) => `\`${name}\``)
        .join(", ")}.\n\n\`\`\`ts\n${blocks.map(({ statement }) => statement).join("\n\n")}\n\`\`\`\n`,
    );
  }
  return sections.join("\n");
}

/**
 * What a module exports, through whatever it passes on: the exported name, with the name and the module of its declaration.
 * @returns {Map<string, [string, string]>}
 */
function exportsOf(file, load) {
  const { declared, reexports, stars } = load(file);
  const found = new Map();
  for (const from of stars) for (const entry of exportsOf(resolve(file, from), load)) found.set(...entry);
  for (const { names, from } of reexports) {
    const offered = exportsOf(resolve(file, from), load);
    for (const [original, exported] of names) {
      const declaration = offered.get(original);
      if (!declaration) throw new Error(`${file} exports "${original}" of ${from}, which has no such export`);
      found.set(exported, declaration);
    }
  }
  for (const name of declared) found.set(name, [name, file]);
  return found;
}

function parseModule(file) {
  if (!existsSync(file)) throw new Error(`${file} is missing`);
  const text = readFileSync(file, "utf8")
    .replace(/\/\*[\s\S]*?\*\//g, "")
    .replace(/[ \t]+$/gm, "")
    .replace(/\n{2,}/g, "\n");
  const module = {
    /** @type {Map<string, string>} */ declarations: new Map(),
    /** @type {Map<string, [string, string]>} local name to name and specifier */ imports: new Map(),
    /** @type {{ names: [string, string][], from: string }[]} */ reexports: [],
    /** @type {string[]} specifiers of `export *` */ stars: [],
    /** @type {string[]} */ declared: [],
  };
  for (const statement of text.split(/\n(?=[a-z])/).map((part) => part.trim())) {
    const star = statement.match(/^export (?:type )?\* from "([^"]+)";$/);
    if (star) {
      module.stars.push(star[1] ?? "");
      continue;
    }
    const listed = statement.match(/^(import|export)\s+(?:type\s+)?\{([\s\S]*?)\}(?:\s+from\s+"([^"]+)")?;$/);
    if (listed) {
      const [, kind, list = "", from] = listed;
      const names = list
        .split(",")
        .map((one) => one.trim().replace(/^type\s+/, ""))
        .filter((one) => one !== "")
        .map((one) => /** @type {[string, string]} */ (one.includes(" as ") ? one.split(" as ") : [one, one]));
      if (kind === "import") for (const [original, local] of names) module.imports.set(local, [original, from ?? ""]);
      else if (from) module.reexports.push({ names, from });
      else {
        // An import that is passed on, or a declaration exported by its name.
        for (const [local, exported] of names) {
          const imported = module.imports.get(local);
          if (imported) module.reexports.push({ names: [[imported[0], exported]], from: imported[1] });
          else module.declared.push(local);
        }
      }
      continue;
    }
    const declaration = statement.match(
      /^(export\s+)?(?:declare\s+)?(?:abstract\s+)?(?:class|interface|type|const|function|enum)\s+([\w$]+)/,
    );
    if (!declaration) continue;
    const [, exported, name = ""] = declaration;
    module.declarations.set(name, withoutTexts(statement));
    if (exported) module.declared.push(name);
  }
  return module;
}

/** A constant of many strings is data: its shape is the API, its words are not. */
function withoutTexts(statement) {
  return /^export declare const/.test(statement)
    ? statement.replace(/^(\s+readonly [\w$]+): "(?:[^"\\]|\\.)*";$/gm, "$1: string;")
    : statement;
}

function resolve(file, specifier) {
  return path.join(path.dirname(file), specifier.replace(/\.js$/, ".d.ts"));
}
