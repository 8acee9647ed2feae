import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { inRoot } from "../../scripts/lib/paths.mjs";
import { freePort, ProcessGroup } from "../../scripts/lib/processes.mjs";

const node = (name, code, more = {}) => ({ name, command: process.execPath, args: ["-e", code], ...more });

test("waits for the listening line, in pieces and on either stream, and gives its match", async () => {
  const group = new ProcessGroup();
  const code =
    'process.stderr.write("listening "); setTimeout(() => process.stderr.write("on port 17\\n"), 50); setInterval(() => {}, 1000)';
  const child = await group.start(node("server", code, { listening: /listening on port (\d+)/ }));
  assert.equal(child.match[1], "17");
  assert.match(child.log(), /port 17/);
  await group.stop();
  assert.deepEqual(group.unexpectedExits, []);
});

test("rejects with the last words of a program that ends or stays silent", async () => {
  const group = new ProcessGroup();
  const ends = group.start(node("ends", 'console.log("no disk"); process.exit(3)', { listening: /listening/ }));
  await assert.rejects(ends, /ends ended \(exit code 3\) before it said[\s\S]*no disk/);
  const silent = group.start(node("silent", "setInterval(() => {}, 1000)", { listening: /listening/, timeoutMs: 200 }));
  await assert.rejects(silent, /silent did not say \/listening\/ within 200 ms/);
  const missing = group.start({ name: "missing", command: "no-such-program-here", listening: /./ });
  await assert.rejects(missing, /no such program/);
  await group.stop();
});

test("reports a program that ends by itself, and not one that was told to", async () => {
  const reported = [];
  const group = new ProcessGroup({ onUnexpectedExit: (child) => reported.push(`${child.name}: ${child.status}`) });
  const ends = await group.start(
    node("ends", 'console.log("ready"); setTimeout(() => process.exit(5), 100)', { listening: /ready/ }),
  );
  const killed = await group.start(
    node("killed", 'console.log("ready"); setInterval(() => {}, 1000)', { listening: /ready/ }),
  );
  await ends.exited;
  assert.equal(await killed.kill(), "SIGKILL");
  await sleep(20);
  assert.deepEqual(reported, ["ends: exit code 5"]);
});

test("a program that ignores the polite signal is killed", async () => {
  const group = new ProcessGroup();
  const code = 'process.on("SIGTERM", () => {}); console.log("ready"); setInterval(() => {}, 1000)';
  const child = await group.start(node("stubborn", code, { listening: /ready/ }));
  await child.stop();
  assert.equal(child.status, "SIGKILL");
});

test("children end with the script that started them", async () => {
  const script = `
    import { ProcessGroup } from ${JSON.stringify(inRoot("scripts/lib/processes.mjs"))};
    const child = await new ProcessGroup().start({ name: "child", command: process.execPath,
      args: ["-e", "console.log('ready'); setInterval(() => {}, 1000)"], listening: /ready/ });
    console.log(child.pid);
    process.exit(1);`;
  const parent = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  for await (const chunk of parent.stdout) output += chunk;
  const pid = Number(output);
  assert.ok(pid > 0, output);
  for (let waited = 0; waited < 2_000 && isAlive(pid); waited += 50) await sleep(50);
  assert.ok(!isAlive(pid));
});

test("gives a port that can be listened on", async () => {
  assert.ok((await freePort()) > 1_024);
});

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
