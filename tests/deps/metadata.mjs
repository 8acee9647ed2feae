/** What `cargo metadata` says, as a graph that tests can walk. */
import { capture } from "../../scripts/lib/run.mjs";

/**
 * The workspace's dependency graph; with `platform`, only what that target uses. Features are
 * unified over the workspace, so a tree may hold more than a single program's build, never less.
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

  return { packages: [...packages.values()], normalTree };
}
