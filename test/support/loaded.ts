// npm run test:loaded -- [PART] [ARGUMENTS]: runs a part of the tests five times beside three busy processes, so that
// what depends on luck fails. The part and its arguments are those of test/run.ts.
import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { spawnTree } from './hosts/lifetime.ts';

const root = resolve(import.meta.dirname, '../..');
const rounds = 5;

for (let n = 0; n < 3; n++) spawnTree(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' });

const failed: number[] = [];
for (let round = 1; round <= rounds; round++) {
  console.log(`\n##### Round ${round} of ${rounds}, beside three busy processes`);
  const { status } = spawnSync(process.execPath, ['test/run.ts', ...process.argv.slice(2)], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (status !== 0) failed.push(round);
}
const result = failed.length === 0 ? 'all are good' : `failed in ${failed.join(', ')}`;
console.log(`\n${rounds} rounds beside three busy processes: ${result}`);
process.exit(failed.length === 0 ? 0 : 1);
