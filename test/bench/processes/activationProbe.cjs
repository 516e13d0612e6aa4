/* global performance, __dirname */
// Takes the place of the packed extension's entry, which lies beside it as measured.cjs: adds to the file named by
// BENCH_ACTIVATION what loading and activating it took of this thread, in ms.
const { appendFileSync } = require('node:fs');
const { join } = require('node:path');

function now() {
  const { user, system } = process.threadCpuUsage();
  return { own: (user + system) / 1000, clock: performance.now() };
}

const start = now();
const extension = require(join(__dirname, 'measured.cjs'));
const loaded = now();

exports.activate = (context) => {
  const called = now();
  const api = extension.activate(context);
  const active = now();
  const sum = (name) => loaded[name] - start[name] + active[name] - called[name];
  const line = JSON.stringify({ own: sum('own'), clock: sum('clock') });
  appendFileSync(process.env.BENCH_ACTIVATION, `${line}\n`);
  return api;
};
exports.deactivate = extension.deactivate;
