// npm test runs everything; one part runs with: node test/run.ts unit|extension|browser|faults
// Arguments after unit, browser and faults go to mocha; extension takes --grep PATTERN.
import { spawnSync } from 'node:child_process';
import { existsSync, globSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { runExtensionTests } from './support/hosts/runExtensionTests.ts';
import { temporaryFolder } from './support/hosts/lifetime.ts';
import { createSampleWorkspace } from './support/sampleWorkspace.ts';

interface Totals {
  passed: number;
  failed: number;
  skipped: number;
}

interface Step {
  name: string;
  run: () => Totals | Promise<Totals>;
}

const ROOT = resolve(import.meta.dirname, '..');
const TALLY = join(temporaryFolder('tally').path, 'tally.jsonl');
const REPORTER = join(ROOT, 'test/support/reporter.cjs');
// Whatever a test starts inherits it, so that no test touches what is remembered for the user.
process.env['XDG_DATA_HOME'] = temporaryFolder('data').path;
const OK: Totals = { passed: 0, failed: 0, skipped: 0 };
const FAILED: Totals = { ...OK, failed: 1 };

const build: Step = {
  name: 'build',
  run: () => {
    // A bundle of a test that is no more would run on.
    rmSync(join(ROOT, 'out/extension'), { recursive: true, force: true });
    return command('esbuild.mjs', '--tests');
  },
};

const processes: Step = {
  name: 'processes',
  run: () => command('esbuild.mjs', '--processes'),
};

const checks: Step[] = [
  { name: 'types', run: checkTypes },
  { name: 'lint', run: () => command('node_modules/eslint/bin/eslint.js', '.') },
  { name: 'format', run: () => command('node_modules/prettier/bin/prettier.cjs', '--check', '.') },
  { name: 'unused code', run: () => command('node_modules/knip/bin/knip.js') },
];

const unit = (args: string[]): Step => ({
  name: 'unit tests',
  run: () =>
    mocha('unit tests', 'test/{core,worker,cli,runbook}/**/*.test.ts', 20_000, inParallel(args)),
});

const packaging: Step = {
  name: 'package',
  run: () => command('test/support/package.ts'),
};

const extension = (args: string[]): Step => ({
  name: 'extension suite',
  run: () => extensionSuite(args),
});

const browser = (args: string[]): Step => ({
  name: 'browser suite',
  run: () => {
    if (process.platform !== 'win32') {
      // Two windows, their servers and browsers share the machine: what takes too long once may be tried once more.
      const oneRetry = ['--retries', '1', ...inParallel(args)];
      return mocha('browser suite', 'test/browser/**/*.test.ts', 120_000, oneRetry);
    }
    console.log('Skipped: the VS Code server that it needs does not run on Windows');
    return { ...OK, skipped: 1 };
  },
});

const faults = (args: string[]): Step => ({
  name: 'faults',
  run: () => mocha('faults', 'test/faults/**/*.test.ts', 120_000, args),
});

const [part, ...args] = process.argv.slice(2);
process.exit(await runSteps(stepsOf(part, args)));

function stepsOf(part: string | undefined, args: string[]): Step[] {
  switch (part) {
    case undefined: {
      const all = [...checks, build, processes, unit([]), packaging, extension([]), browser([])];
      return process.env['CI'] ? [...all, faults([])] : all;
    }
    case 'unit':
      return [processes, unit(args)];
    case 'extension':
      return [build, extension(args)];
    case 'browser':
      return [processes, browser(args)];
    case 'faults':
      return [processes, faults(args)];
    default:
      console.error(`No part is called "${part}": unit, extension, browser, faults`);
      return process.exit(2);
  }
}

async function runSteps(steps: Step[]): Promise<number> {
  const sum = { ...OK };
  for (const step of steps) {
    console.log(`\n=== ${step.name}`);
    const start = performance.now();
    const totals = await outcome(step);
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    console.log(`--- ${step.name}: ${totals.failed === 0 ? 'ok' : 'FAILED'}, ${seconds} s`);
    sum.passed += totals.passed;
    sum.failed += totals.failed;
    sum.skipped += totals.skipped;
  }
  const skipped = sum.skipped > 0 ? `, ${sum.skipped} skipped` : '';
  console.log(`\n${sum.passed} passed, ${sum.failed} failed${skipped}`);
  return sum.failed === 0 ? 0 : 1;
}

async function outcome(step: Step): Promise<Totals> {
  try {
    return await step.run();
  } catch (error) {
    console.error(error);
    return FAILED;
  }
}

/** Runs a script of this project or of a dependency with this Node. */
function command(script: string, ...args: string[]): Totals {
  return node([script, ...args]) ? OK : FAILED;
}

function node(args: string[], env: Record<string, string> = {}): boolean {
  const { status } = spawnSync(process.execPath, args, {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  return status === 0;
}

function checkTypes(): Totals {
  const projects = globSync('{tsconfig.json,src/**/tsconfig.json}', { cwd: ROOT });
  const failures = projects.filter(
    (project) => !node(['node_modules/typescript/bin/tsc', '--project', project]),
  );
  return failures.length === 0 ? OK : FAILED;
}

/** Runs the files of `pattern`, or the ones named in `args`. */
function mocha(suite: string, pattern: string, timeoutMs: number, args: string[]): Totals {
  const files = args.some((argument) => existsSync(argument))
    ? []
    : globSync(pattern, { cwd: ROOT });
  const options = ['--reporter', REPORTER, '--timeout', String(timeoutMs)];
  const succeeded = node(
    ['node_modules/mocha/bin/mocha.js', ...options, ...args, ...files.sort()],
    {
      TEST_TALLY: TALLY,
      TEST_SUITE: suite,
    },
  );
  return totalsOf(suite, succeeded);
}

async function extensionSuite(args: string[]): Promise<Totals> {
  const suite = 'extension suite';
  const workspace = temporaryFolder('workspace');
  createSampleWorkspace(workspace.path);
  const grep = args[0] === '--grep' ? args[1] : undefined;
  const env = { TEST_TALLY: TALLY, TEST_SUITE: suite, ...(grep ? { TEST_GREP: grep } : {}) };
  const succeeded = await runExtensionTests(workspace.path, env).then(
    () => true,
    (error: unknown) => {
      console.error(error instanceof Error ? error.message : error);
      return false;
    },
  );
  workspace.remove();
  return totalsOf(suite, succeeded);
}

/** Files side by side: each test has its own folder, processes and windows, and waits for them most of the time. */
function inParallel(args: string[]): string[] {
  return ['--parallel', '--jobs', String(Math.max(2, availableParallelism())), ...args];
}

/** Reads what the reporter counted. A suite that ran no test failed, and so did one that ended badly. */
function totalsOf(suite: string, succeeded: boolean): Totals {
  const lines = existsSync(TALLY) ? readFileSync(TALLY, 'utf8').trim().split('\n') : [];
  const tally = lines
    .map((line) => JSON.parse(line) as { suite: string } & Record<string, number>)
    .find((line) => line.suite === suite);
  if (!tally) {
    console.error(`The ${suite} ended without a result`);
    return FAILED;
  }
  const { passes = 0, failures = 0, pending = 0 } = tally;
  const ranNothing = passes + failures === 0;
  if (ranNothing) console.error(`The ${suite} executed no test`);
  const failed = failures > 0 || (succeeded && !ranNothing) ? failures : 1;
  return { passed: passes, failed, skipped: pending };
}
