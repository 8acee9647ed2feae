/** What `cargo metadata` says, as a graph that tests can walk. */
import { capture } from "../../scripts/lib/run.mjs";

/**
 * The workspace's dependency graph; with `platform`, only what that target uses. Features are
 * unified over the workspace, so a tree may hold more than a single program's build, never less.
 *
 * @param {{ platform?: string }} [options]
 */
export async function dependencyGraph({ platform } = {}) {
  const filter = platform ? ["--filter-platform", platform] : [];
  const metadata = JSON.parse(await capture("cargo", ["metadata", "--format-version", "1", "--locked", ...filter]));
  const packages = new Map(metadata.packages.map((entry) => [entry.id, entry]));
  const nodes = new Map(metadata.resolve.nodes.map((node) => [node.id, node]));

  /** Every package that the named one is linked with: normal dependencies only, itself excluded. */
  function normalTree(name) {
    const root = metadata.packages.find(
      (entry) => entry.name === name && metadata.workspace_members.includes(entry.id),
    );
    if (!root) throw new Error(`the workspace has no package ${name}`);
    const seen = new Set();
    const waiting = [root.id];
    while (waiting.length > 0) {
      for (const dependency of nodes.get(waiting.pop()).deps) {
        const isNormal = dependency.dep_kinds.some(({ kind }) => kind === null);
        if (!isNormal || seen.has(dependency.pkg)) continue;
        seen.add(dependency.pkg);
        waiting.push(dependency.pkg);
      }
    }
    return [...seen].map((id) => packages.get(id));
  }

  /** The workspace's packages, each with those of the workspace that it uses itself, tests left out. */
  function layers() {
    const members = metadata.packages.filter((entry) => metadata.workspace_members.includes(entry.id));
    const names = new Set(members.map(({ name }) => name));
    const used = ({ dependencies }) =>
      dependencies.filter(({ name, kind }) => kind === null && names.has(name)).map(({ name }) => name);
    return Object.fromEntries(members.map((entry) => [entry.name, [...new Set(used(entry))].sort()]));
  }

  /** What a package of the workspace names in its own manifest, tests left out. */
  function directDependencies(packageName) {
    const entry = metadata.packages.find(
      ({ name, id }) => name === packageName && metadata.workspace_members.includes(id),
    );
    return entry.dependencies.filter(({ kind }) => kind === null).map(({ name }) => name);
  }

  return { layers, directDependencies, packages: [...packages.values()], normalTree };
}
