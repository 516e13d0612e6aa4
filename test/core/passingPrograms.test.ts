import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { requireFree } from '../../src/core/restore/target.ts';
import { createDatabase } from '../support/databases.ts';
import { endAfterEach, endProcessesAfterEach } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const openLast =
  "require('node:fs').openSync(process.argv.at(-1)); console.log(); process.stdin.resume()";

describe('what has a database open that is to be replaced', function () {
  this.timeout(30_000);
  before(function () {
    if (process.platform !== 'linux') this.skip(); // Elsewhere workers are not told apart.
  });
  endProcessesAfterEach();
  const folder = useTempFolder();
  let path = '';
  let waits = 0;

  const reader = async (...args: string[]): Promise<ChildProcess> => {
    const child = spawn(process.execPath, ['-e', openLast, ...args, path], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    endAfterEach(child);
    await once(child.stdout, 'data');
    return child;
  };
  /** Waits for nothing, and does something the first time. */
  const wait =
    (action: () => void = () => undefined) =>
    (): void => {
      waits += 1;
      if (waits === 1) action();
    };
  const end = (child: ChildProcess) => (): void => void child.kill('SIGKILL');
  /** Workers of this extension start from one file. */
  const ours = process.argv[1] ?? '';

  beforeEach(() => {
    waits = 0;
    path = createDatabase(folder('app.db'), { rows: 10 });
  });

  it('is waited for when it is a worker of this extension', async () => {
    const child = await reader(ours);
    requireFree([path], { probe: true, wait: wait(end(child)) });
    assert.ok(waits > 0);
  });

  it('is named when it stays: a program soon, a worker of this extension after a while', async () => {
    await reader();
    assert.throws(
      () => requireFree([path], { probe: true, wait: wait() }),
      /app\.db is open in .*\(pid \d+\)/,
    );
    const [few] = [waits, (waits = 0)];
    path = createDatabase(folder('other.db'));
    await reader(ours);
    assert.throws(() => requireFree([path], { probe: true, wait: wait() }), /open in/);
    assert.ok(few > 1 && few < waits, `${few}, ${waits}`);
  });

  it('is named at once while other programs are kept out', async () => {
    await reader(ours);
    assert.throws(() => requireFree([path], { probe: false, besides: 1, wait: wait() }), /open in/);
    assert.equal(waits, 0);
  });
});
