import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { workerEnvironment } from '../../src/worker/environment.ts';
import { itWhere } from '../support/operations.ts';

const [major = 0, minor = 0] = String(
  (process.report.getReport() as { header?: { glibcVersionRuntime?: string } }).header
    ?.glibcVersionRuntime ?? '',
)
  .split('.')
  .map(Number);
const hasLargePages = (): boolean =>
  readFileSync('/sys/kernel/mm/transparent_hugepage/enabled', 'utf8').includes('[madvise]');

describe('the environment of a worker', () => {
  const before = { ...process.env };
  afterEach(() => {
    // Another object in its place would not be the environment that modules of the system read.
    for (const name of ['GLIBC_TUNABLES', 'UV_THREADPOOL_SIZE']) {
      const value = before[name];
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  });

  it('has what the person has set', () => {
    process.env['GLIBC_TUNABLES'] = 'glibc.malloc.check=0';
    process.env['UV_THREADPOOL_SIZE'] = '7';
    const { GLIBC_TUNABLES, UV_THREADPOOL_SIZE, ELECTRON_RUN_AS_NODE } = workerEnvironment();
    assert.deepEqual(
      [GLIBC_TUNABLES, UV_THREADPOOL_SIZE, ELECTRON_RUN_AS_NODE],
      ['glibc.malloc.check=0', '7', '1'],
    );
  });

  itWhere((major > 2 || minor >= 35) && hasLargePages())(
    'asks for large pages of memory, where the C library can',
    () => {
      const script =
        "console.log(/\\[heap\\]\\n(?:(?!VmFlags)[^\\n]*\\n)*VmFlags:.* hg/.test(require('node:fs').readFileSync('/proc/self/smaps', 'utf8')))";
      const says = (env: NodeJS.ProcessEnv): string =>
        execFileSync(process.execPath, ['-e', script], { env, encoding: 'utf8' }).trim();
      assert.deepEqual([says(before), says(workerEnvironment())], ['false', 'true']);
    },
  );
});
